# A labeled source and an unlabeled target at 256x128: 128 images of each per batch, an epoch is one pass over the
# source. A config adds the data sets: train_dataloader = dict(dataset=dict(datasets=[source, target])).
source_pipeline = [
    dict(type='LoadReIDImage'),
    # The official code draws height / width from 2 to 3.
    dict(
        type='RandomResizedCrop',
        scale=(256, 128),
        crop_ratio_range=(0.64, 1.0),
        aspect_ratio_range=(1 / 3, 1 / 2),
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomErasing',
        erase_prob=0.5,
        mode='const',
        min_area_ratio=0.02,
        max_area_ratio=0.2,
        fill_color=(127, 142, 152),  # B G R; 0.406, 0.456, 0.485 after the normalization, as in the official code
    ),
    dict(type='PackReIDInputs'),
]
# For the image's own camera, the real image is used.
target_pipeline = [
    dict(type='LoadCamStyleImage'),
    *source_pipeline[1:-1],
    dict(
        type='PackReIDInputs',
        algorithm_keys=('slot',),
        optional_keys=('ori_shape', 'img_shape', 'flip', 'image_index', 'styled'),
    ),
]
test_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=(128, 256)),
    dict(type='PackReIDInputs'),
]

train_dataloader = dict(
    batch_size=256,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(
        type='MultiDomainBatchSampler',
        parts=[dict(domain=0, batch_size=128), dict(domain=1, batch_size=128)],
        length_of=0,
    ),
    dataset=dict(type='SourceTargetDataset'),
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
