# ECN in minutes on a CPU: a narrow ResNet-18 from scratch on procedural people of two domains, an embedding of 512. The
# weight of the old slot grows as far as in the 60 epochs of the published setting.
_base_ = [
    '../_base_/models/ecn_resnet50.py',
    '../_base_/datasets/procedural_source_target.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(depth=18, base_channels=16, strides=(1, 2, 2, 1), frozen_stages=-1, init_cfg=None),
    neck=dict(in_channels=128, out_channels=512, pool=dict(type='GeneralizedMeanPooling')),
    head=dict(in_channels=512),
)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=3e-3, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=0.1, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=0.1, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=40, val_interval=40)
val_cfg = dict(type='ReIDValLoop')
test_cfg = dict(type='ReIDTestLoop')
custom_hooks = [*_base_.custom_hooks, dict(type='MemoryUpdateHook', alpha_per_run=0.6)]
auto_scale_lr = dict(base_batch_size=64, enable=False)
