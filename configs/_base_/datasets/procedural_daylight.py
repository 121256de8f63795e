# Procedural people in daylight at 128x64, batches of 16 identities x 4 images per GPU; colors, boxes and parts vary, as
# the model is for other cameras. docs/en/datasets/procedural.md makes the data.
_base_ = ['./procedural_64x32.py']

data_root = 'data/procedural-daylight'
size = (64, 128)  # width, height
train_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=(128, 64), padding=6),
    dict(type='ColorJitter', brightness=0.25, contrast=0.25, saturation=0.3),
    dict(
        type='RandomErasing',
        erase_prob=0.4,
        mode='const',
        min_area_ratio=0.02,
        max_area_ratio=0.3,
        fill_color=(103.53, 116.28, 123.675),  # ImageNet mean, B G R
    ),
    dict(type='PackReIDInputs'),
]
test_pipeline = [dict(type='LoadReIDImage'), dict(type='Resize', scale=size), dict(type='PackReIDInputs')]

train_dataloader = dict(dataset=dict(data_root=data_root, name='procedural-daylight', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, name='procedural-daylight', pipeline=test_pipeline))
test_dataloader = val_dataloader
