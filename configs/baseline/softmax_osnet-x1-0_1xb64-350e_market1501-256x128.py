# OSNet from scratch (Zhou et al., ICCV 2019, section 4.1): SGD, divided by 10 after 150, 225 and 300 epochs. The paper
# also pastes patches of other images; this config does not.
_base_ = [
    '../_base_/models/osnet_x1-0.py',
    '../_base_/datasets/market1501.py',
    '../_base_/schedules/adam_120e.py',
    '../_base_/default_runtime.py',
]

train_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=(128, 256)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=(256, 128), padding=10),
    dict(type='PackReIDInputs'),
]
# Random images, whatever their identities.
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    batch_sampler=dict(_delete_=True, type='RandomImageBatchSampler'),
    dataset=dict(pipeline=train_pipeline),
)

optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.065, momentum=0.9, weight_decay=5e-4))
param_scheduler = [dict(type='MultiStepLR', milestones=[150, 225, 300], gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=350, val_interval=50)
