# Images and batches as in the official code of CM-NAS, for any data set of two modalities. A config adds type and
# data_root.
_base_ = ['./reid_256x128.py']

_resize = dict(type='Resize', scale=(128, 256), backend='pillow', interpolation='lanczos')
train_pipeline = [
    dict(type='LoadReIDImage'),
    _resize,
    dict(type='RandomCrop', crop_size=(256, 128), padding=10),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RedrawnErasing', erase_prob=0.5, area_range=(0.02, 0.4), aspect_range=(0.3, 1 / 0.3)),
    dict(type='PackReIDInputs'),
]
test_pipeline = [dict(type='LoadReIDImage'), _resize, dict(type='PackReIDInputs')]

# Identities and images are drawn with replacement; an epoch is floor(images of the larger modality / 64) + 1 batches.
train_dataloader = dict(
    batch_size=128,  # 16 identities x (4 visible + 4 infrared); the official option, 64, counts one modality
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    batch_sampler=dict(_delete_=True, type='CMNASReferenceSampler', num_instances=4),
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
