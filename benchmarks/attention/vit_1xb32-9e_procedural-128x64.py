# A vision transformer of four layers and 8 x 8 patches, from scratch on procedural people in daylight, so small that
# two CPU cores train it in minutes. README.md makes the data.
_base_ = [
    '../../configs/_base_/models/bot_resnet50.py',
    '../../configs/_base_/datasets/procedural_daylight.py',
    '../../configs/_base_/schedules/adam_120e.py',
    '../../configs/_base_/default_runtime.py',
]

data_root = 'data/procedural-attention'
train_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=(64, 128)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=(128, 64), padding=6),
    dict(type='PackReIDInputs'),
]
train_dataloader = dict(batch_size=32, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader

model = dict(
    backbone=dict(
        _delete_=True,
        type='VisionTransformer',
        arch=dict(embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=384),
        img_size=(128, 64),
        patch_size=8,
    ),
    neck=dict(in_channels=192),
    head=dict(in_channels=192),
    test_feat='before',
)

# 75 iterations an epoch.
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.05), clip_grad=dict(max_norm=1.0)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=1, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=9, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=9, val_interval=9)
default_hooks = dict(checkpoint=dict(interval=3))
auto_scale_lr = dict(base_batch_size=32)
