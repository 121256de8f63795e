# SBS with the instance norms of IBN-a in addition to the non-local blocks.
_base_ = ['./sbs_resnet50_1xb64-60e_market1501-384x128.py']

_weights = 'https://github.com/XingangPan/IBN-Net/releases/download/v1.0/resnet50_ibn_a-d9d0bb7b.pth'
model = dict(backbone=dict(ibn='a', init_cfg=dict(checkpoint=_weights)))
