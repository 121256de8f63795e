# Graph sampling in minutes on a CPU: a narrow ResNet-18 from scratch on procedural people, one embedding per image, the
# soft-margin triplet loss over all triplets alone. An epoch has 60 of the 400 classes; the first two epochs draw random
# ones.
_base_ = [
    '../_base_/models/bot_resnet50.py',
    '../_base_/datasets/procedural_domains.py',
    '../_base_/schedules/gs_adam_32e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(depth=18, base_channels=16, init_cfg=None),
    neck=dict(in_channels=128, pool=dict(type='GeneralizedMeanPooling')),
    head=dict(in_channels=128, loss_cls=None, loss_metric=dict(_delete_=True, type='AllTripletsLoss', margin=None)),
    test_feat='before',
)
train_dataloader = dict(sampler=dict(_delete_=True, type='GraphIdentitySampler', warmup=2, batches_per_epoch=60))
optim_wrapper = dict(optimizer=dict(lr=3e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=0.125, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=0.125, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=8, val_interval=8)
custom_hooks = [*_base_.custom_hooks, dict(type='GraphSamplingHook')]
