# AGW with the instance norms of IBN-a in addition to the non-local blocks.
_base_ = ['./agw_resnet50_1xb64-120e_market1501-256x128.py']

_weights = 'https://github.com/XingangPan/IBN-Net/releases/download/v1.0/resnet50_ibn_a-d9d0bb7b.pth'
model = dict(backbone=dict(ibn='a', init_cfg=dict(checkpoint=_weights)))
