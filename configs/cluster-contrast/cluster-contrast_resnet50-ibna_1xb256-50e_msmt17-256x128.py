_base_ = ['./cluster-contrast_resnet50_1xb256-50e_msmt17-256x128.py']

_weights = 'https://github.com/XingangPan/IBN-Net/releases/download/v1.0/resnet50_ibn_a-d9d0bb7b.pth'
model = dict(backbone=dict(type='ResNetIBN', ibn='a', init_cfg=dict(checkpoint=_weights)))
