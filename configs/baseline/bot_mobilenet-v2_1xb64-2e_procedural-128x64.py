# From ImageNet weights to people: MobileNetV2, trained on procedural people in daylight, for images of real ones.
# tools/model_converters/mobilenetv2_to_mmreid.py makes the checkpoint.
_base_ = [
    '../_base_/models/bot_resnet50.py',
    '../_base_/datasets/procedural_daylight.py',
    '../_base_/schedules/adam_120e.py',
    '../_base_/default_runtime.py',
]

_weights = dict(type='Pretrained', checkpoint='checkpoints/mobilenetv2_imagenet.pth', prefix='backbone.')
model = dict(
    # The first stages have seen real images, and stay as they are.
    backbone=dict(_delete_=True, type='MobileNetV2', out_indices=(7,), frozen_stages=3, init_cfg=_weights),
    neck=dict(in_channels=1280),
    # ImageNet features are long: with their length, the margin would not count and the triplets outweigh the classes.
    head=dict(in_channels=1280, loss_metric=dict(normalize=True, loss_weight=2.0)),
    test_feat='before',
)

# 149 iterations an epoch.
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=0, end=2, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=2, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=1))
