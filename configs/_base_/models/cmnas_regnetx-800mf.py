# CM-NAS around a RegNetX-800MF: 53 batch norms.
_base_ = ['./cmnas_resnet50.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='RegNet',
        arch='regnetx_800mf',
        strides=(2, 2, 2, 1),
        norm_cfg=dict(type='mmreid.BranchBN2d'),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://regnet_x_800mf'),
    ),
    neck=dict(in_channels=672),
    head=dict(in_channels=672),
)
