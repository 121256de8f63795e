_base_ = ['./agw_resnet50-ibna_1xb64-120e_market1501-256x128.py']

_data = dict(type='MSMT17', data_root='data/MSMT17_V1')
train_dataloader = dict(dataset=_data)
val_dataloader = dict(dataset=_data)
test_dataloader = val_dataloader
