# CM-NAS around a ResNet-18: 20 norms.
_base_ = ['./cmnas_resnet50.py']

model = dict(
    backbone=dict(depth=18, init_cfg=dict(checkpoint='torchvision://resnet18')),
    neck=dict(in_channels=512),
    head=dict(in_channels=512),
)
