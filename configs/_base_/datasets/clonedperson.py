# ClonedPerson at 256x128.
_base_ = ['./reid_256x128.py']

dataset_type = 'ClonedPerson'
data_root = 'data/clonedperson'

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
test_dataloader = val_dataloader
