# Camera styles of DukeMTMC-reID.
_base_ = ['./stargan_1xb16-220e_market1501-256x128.py']

train_dataloader = dict(dataset=dict(type='DukeMTMC', data_root='data/DukeMTMC-reID'))
