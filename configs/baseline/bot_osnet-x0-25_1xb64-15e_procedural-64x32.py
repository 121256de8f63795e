# OSNet x0.25 from scratch on 500 procedural people, seen by six cameras; the first built-in model.
_base_ = ['./quickstart_resnet18_1xb64-25e_procedural-64x32.py']

data_root = 'data/procedural-builtin'
model = dict(
    backbone=dict(_delete_=True, type='OSNet', arch='x0_25'),
    neck=dict(in_channels=128),
    head=dict(in_channels=128),
)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader

# 94 iterations an epoch.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=15, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=15, val_interval=15)
default_hooks = dict(checkpoint=dict(interval=5))
