# AGW in minutes on a CPU: a narrow ResNet-18 from scratch on procedural people, in the schedule of CM-NAS on them.
_base_ = [
    '../_base_/models/agw-vi_resnet50.py',
    '../_base_/datasets/procedural_sysu.py',
    '../_base_/schedules/cmnas_120e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(depth=18, base_channels=16, non_local=(0, 1, 1, 0), init_cfg=None),
    neck=dict(in_channels=128),
    head=dict(in_channels=128),
)
train_dataloader = dict(sampler=dict(batches_per_epoch=10))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=0.1, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=0.1, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=40)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.027, update_buffers=True),
]
auto_scale_lr = dict(base_batch_size=64)
