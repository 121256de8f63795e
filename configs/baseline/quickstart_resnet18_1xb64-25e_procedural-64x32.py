# What tools/quickstart.sh trains: a narrow ResNet-18 from scratch on procedural people.
_base_ = [
    '../_base_/models/bot_resnet50.py',
    '../_base_/datasets/procedural_64x32.py',
    '../_base_/schedules/adam_120e.py',
    '../_base_/default_runtime.py',
]

data_root = 'data/procedural-market1501'
model = dict(
    backbone=dict(depth=18, base_channels=16, init_cfg=None),
    neck=dict(in_channels=128),
    head=dict(in_channels=128),
)
train_dataloader = dict(dataset=dict(data_root=data_root, name='procedural'))
val_dataloader = dict(dataset=dict(data_root=data_root, name='procedural'))
test_dataloader = val_dataloader

optim_wrapper = dict(optimizer=dict(lr=3e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=2, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=2, end=25, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=25, val_interval=25)
default_hooks = dict(checkpoint=dict(interval=5), logger=dict(interval=10))
