# PCB (Sun et al., ECCV 2018): six stripes, each with a vector of 256 and a classifier of its own. Difference: testing
# compares the vectors of 256 after the batch norm, without ReLU; the paper's best are the pooled ones of 2048.
_base_ = [
    '../_base_/models/bot_resnet50.py',
    '../_base_/datasets/market1501.py',
    '../_base_/schedules/adam_120e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    neck=dict(_delete_=True, type='PartNeck', in_channels=2048, out_channels=256, num_parts=6),
    head=dict(
        _delete_=True,
        type='PartHead',
        in_channels=256,
        num_parts=6,
        loss_cls=dict(type='CrossEntropyLoss'),
    ),
)

_resize = dict(type='Resize', scale=(128, 384))
train_pipeline = [
    dict(type='LoadReIDImage'),
    _resize,
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackReIDInputs'),
]
test_pipeline = [dict(type='LoadReIDImage'), _resize, dict(type='PackReIDInputs')]
# Random images, whatever their identities.
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    batch_sampler=dict(_delete_=True, type='RandomImageBatchSampler'),
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
)
param_scheduler = [dict(type='MultiStepLR', milestones=[40], gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=60, val_interval=20)
