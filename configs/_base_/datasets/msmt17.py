# MSMT17 at 256x128; V1 or V2, whichever is in data_root. Training includes list_val.txt (merge_val=True).
_base_ = ['./reid_256x128.py']

dataset_type = 'MSMT17'
data_root = 'data/MSMT17_V1'

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
test_dataloader = val_dataloader
