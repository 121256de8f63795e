# Procedural people at 64x32, batches of 16 identities x 4 images per GPU: small enough to train on two CPU cores.
# A data set adds its data_root.
size = (32, 64)  # width, height
train_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=(64, 32), padding=3),
    dict(type='PackReIDInputs'),
]
test_pipeline = [dict(type='LoadReIDImage'), dict(type='Resize', scale=size), dict(type='PackReIDInputs')]

train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    sampler=dict(type='RandomIdentitySampler'),
    batch_sampler=dict(type='IdentityBatchSampler', instance_sampler=dict(type='KInstanceSampler', num_instances=4)),
    dataset=dict(type='Market1501', split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='Market1501', split='test', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ReIDMetric')
test_evaluator = val_evaluator
