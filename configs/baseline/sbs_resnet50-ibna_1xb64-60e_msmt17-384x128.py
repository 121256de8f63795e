_base_ = ['./sbs_resnet50-ibna_1xb64-60e_market1501-384x128.py']

_data = dict(type='MSMT17', data_root='data/MSMT17_V1')
train_dataloader = dict(dataset=_data)
val_dataloader = dict(dataset=_data)
test_dataloader = val_dataloader
