# Images and batches as in the official code of AGW and CAJ, for any data set of two modalities. A config adds type and
# data_root.
resize = dict(type='Resize', scale=(144, 288), backend='pillow', interpolation='lanczos')
crop = [dict(type='RandomCrop', crop_size=(288, 144), padding=10), dict(type='RandomFlip', prob=0.5)]

# Identities and images are drawn with replacement; an epoch is floor(images of the larger modality / 32) + 1 batches.
train_dataloader = dict(
    batch_size=64,  # 8 identities x (4 visible + 4 infrared)
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='CMNASReferenceSampler', num_instances=4),
    dataset=dict(split='train', pipeline=[dict(type='LoadReIDImage'), resize, *crop, dict(type='PackReIDInputs')]),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='test', pipeline=[dict(type='LoadReIDImage'), resize, dict(type='PackReIDInputs')]),
)
test_dataloader = val_dataloader
