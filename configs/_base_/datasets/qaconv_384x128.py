# Images of QAConv, 384x128, batches of 32 identities x 2 images per GPU; tests on three data sets in one run; a config
# keeps those that it does not train on, and adds type and data_root of the training set.
_resize = dict(type='Resize', scale=(128, 384), backend='pillow', interpolation='bicubic')
train_pipeline = [
    dict(type='LoadReIDImage'),
    _resize,
    dict(type='RandomCrop', crop_size=(384, 128), padding=10),
    dict(type='RandomFlip', prob=0.5),
    # torchvision's, as in the official code; MMCV's hue fails with NumPy 2.
    dict(type='NumpyToPIL', to_rgb=True),
    dict(type='torchvision/RandomRotation', degrees=5),
    dict(
        type='torchvision/ColorJitter',
        brightness=(0.5, 2.0),
        contrast=(0.5, 2.0),
        saturation=(0.5, 2.0),
        hue=0.1,
    ),
    dict(type='PILToNumpy', to_bgr=True),
    dict(type='RandomOcclusion'),
    dict(type='PackReIDInputs'),
]
test_pipeline = [dict(type='LoadReIDImage'), _resize, dict(type='PackReIDInputs')]

train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    sampler=dict(type='GraphIdentitySampler'),
    batch_sampler=dict(type='IdentityBatchSampler', instance_sampler=dict(type='KInstanceSampler', num_instances=2)),
    dataset=dict(split='train', pipeline=train_pipeline),
)
_loader = dict(batch_size=64, num_workers=4, sampler=dict(type='DefaultSampler', shuffle=False))
_test = dict(split='test', pipeline=test_pipeline)
val_dataloader = [
    dict(**_loader, dataset=dict(**_test, type='CUHK03NP', data_root='data/cuhk03_np_detected', variant='detected')),
    dict(**_loader, dataset=dict(**_test, type='Market1501', data_root='data/Market-1501-v15.09.15')),
    dict(**_loader, dataset=dict(**_test, type='MSMT17', data_root='data/MSMT17_V1')),
]
test_dataloader = val_dataloader
# In half precision a map of 128 x 24 x 8 takes 48 KiB. Re-ranking and TLift, if used, read the plain scores again.
val_evaluator = dict(type='ReIDMetric', feature_dtype='float16', keep_scores=True)
test_evaluator = val_evaluator
