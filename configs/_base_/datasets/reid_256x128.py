# Settings of data sets at 256x128: batches of 16 identities x 4 images per GPU. A data set adds type and data_root.
train_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=(128, 256)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=(256, 128), padding=10),
    dict(
        type='RandomErasing',
        erase_prob=0.5,
        mode='const',
        min_area_ratio=0.02,
        max_area_ratio=0.4,
        fill_color=(103.53, 116.28, 123.675),  # ImageNet mean, B G R
    ),
    dict(type='PackReIDInputs'),
]
test_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=(128, 256)),
    dict(type='PackReIDInputs'),
]

train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    sampler=dict(type='RandomIdentitySampler'),
    batch_sampler=dict(type='IdentityBatchSampler', instance_sampler=dict(type='KInstanceSampler', num_instances=4)),
    dataset=dict(split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='test', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ReIDMetric')
test_evaluator = val_evaluator
