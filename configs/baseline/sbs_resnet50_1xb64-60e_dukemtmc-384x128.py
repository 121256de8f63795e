# DukeMTMC-reID was withdrawn by its owners, see docs/en/datasets/dukemtmc.md.
_base_ = ['./sbs_resnet50_1xb64-60e_market1501-384x128.py']

_data = dict(type='DukeMTMC', data_root='data/DukeMTMC-reID')
train_dataloader = dict(dataset=_data)
val_dataloader = dict(dataset=_data)
test_dataloader = val_dataloader
