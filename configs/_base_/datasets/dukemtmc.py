# DukeMTMC-reID at 256x128. The data set was withdrawn by its owners, see docs/en/datasets/dukemtmc.md.
_base_ = ['./reid_256x128.py']

dataset_type = 'DukeMTMC'
data_root = 'data/DukeMTMC-reID'

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
test_dataloader = val_dataloader
