# What tools/quickstart.sh trains: a narrow ResNet-18 from scratch on procedural people.
_base_ = ['./bot_resnet50_1xb64-120e_market1501-256x128.py']

data_root = 'data/procedural-market1501'
size = (32, 64)  # width, height
train_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=(64, 32), padding=3),
    dict(type='PackReIDInputs'),
]
test_pipeline = [dict(type='LoadReIDImage'), dict(type='Resize', scale=size), dict(type='PackReIDInputs')]

model = dict(
    backbone=dict(depth=18, base_channels=16, init_cfg=None),
    neck=dict(in_channels=128),
    head=dict(in_channels=128),
)
train_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, pipeline=train_pipeline, name='procedural'))
val_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline, name='procedural'))
test_dataloader = val_dataloader

optim_wrapper = dict(optimizer=dict(lr=3e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=2, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=2, end=25, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=25, val_interval=25)
default_hooks = dict(checkpoint=dict(interval=5), logger=dict(interval=10))
