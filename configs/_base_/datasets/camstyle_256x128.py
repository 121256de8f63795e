# Training images with their cameras, 16 per batch; an epoch is 1,000 batches.
train_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=(144, 288)),
    dict(type='RandomCrop', crop_size=(256, 128)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackReIDInputs'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='FixedLengthBatchSampler', batches_per_epoch=1000),
    dataset=dict(split='train', pipeline=train_pipeline),
)
