# CUHK03-NP, boxes drawn by hand, at 256x128.
_base_ = ['./reid_256x128.py']

dataset_type = 'CUHK03NP'
data_root = 'data/cuhk03_np_labeled'

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, variant='labeled'))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, variant='labeled'))
test_dataloader = val_dataloader
