# Ten people of OpenCV's clip vtest.avi at 256x128: validates on the development persons, tests on the test persons.
_base_ = ['./reid_256x128.py']

dataset_type = 'VTest'
data_root = 'data/vtest'

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, persons='development'))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, persons='development'))
test_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, persons='test'))
