_base_ = ['./sbs_resnet50_1xb64-60e_market1501-384x128.py']

_weights = 'https://github.com/XingangPan/IBN-Net/releases/download/v1.0/resnet50_ibn_a-d9d0bb7b.pth'
model = dict(backbone=dict(ibn='a', init_cfg=dict(checkpoint=_weights)))
_data = dict(type='MSMT17', data_root='data/MSMT17_V1')
train_dataloader = dict(dataset=_data)
val_dataloader = dict(dataset=_data)
test_dataloader = val_dataloader
