# Images of SBS, 384x128: AutoAugment for one image in ten; batches of 4 identities x 16 images per GPU. A config adds
# type and data_root.
_base_ = ['./reid_256x128.py']

_resize = dict(type='Resize', scale=(128, 384), backend='pillow', interpolation='bicubic')
train_pipeline = [
    dict(type='LoadReIDImage'),
    dict(
        type='RandomApply',
        prob=0.1,
        transforms=[
            dict(type='NumpyToPIL', to_rgb=True),
            # torchvision's policy for ImageNet; fast-reid has its own code for it.
            dict(type='torchvision/AutoAugment'),
            dict(type='PILToNumpy', to_bgr=True),
        ],
    ),
    _resize,
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=(384, 128), padding=10),
    dict(
        type='RandomErasing',
        erase_prob=0.5,
        mode='const',
        min_area_ratio=0.02,
        max_area_ratio=0.33,
        fill_color=(103.53, 116.28, 123.675),  # ImageNet mean, B G R
    ),
    dict(type='PackReIDInputs'),
]
test_pipeline = [dict(type='LoadReIDImage'), _resize, dict(type='PackReIDInputs')]

train_dataloader = dict(
    batch_sampler=dict(instance_sampler=dict(num_instances=16)),
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
