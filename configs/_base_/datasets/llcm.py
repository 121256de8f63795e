# LLCM at 288x144, infrared to visible, batches of 16 identities x (4 visible + 4 infrared) images per GPU.
dataset_type = 'LLCM'
data_root = 'data/LLCM'

train_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=(144, 288)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=(288, 144), padding=10),
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
    dict(type='Resize', scale=(144, 288)),
    dict(type='PackReIDInputs'),
]

train_dataloader = dict(
    batch_size=128,
    num_workers=4,
    sampler=dict(type='RandomIdentitySampler'),
    batch_sampler=dict(
        type='IdentityBatchSampler', instance_sampler=dict(type='CrossModalityInstanceSampler', num_instances=4)
    ),
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type=dataset_type, data_root=data_root, split='test', direction='i2v', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='LLCMMetric')
test_evaluator = val_evaluator
