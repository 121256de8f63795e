# Camera styles of DukeMTMC-reID, which was withdrawn by its owners, see docs/en/datasets/dukemtmc.md.
_base_ = ['./stargan_1xb16-220e_market1501-256x128.py']

train_dataloader = dict(dataset=dict(type='DukeMTMC', data_root='data/DukeMTMC-reID'))
