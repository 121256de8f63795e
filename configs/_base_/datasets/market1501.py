# Market-1501 at 256x128, batches of 16 identities x 4 images per GPU.
_base_ = ['./reid_256x128.py']

dataset_type = 'Market1501'
data_root = 'data/Market-1501-v15.09.15'

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
test_dataloader = val_dataloader
