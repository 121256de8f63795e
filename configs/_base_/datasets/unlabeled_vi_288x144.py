# Visible and infrared images without labels at 288x144, which PseudoLabelHook groups by modality: 8 visible clusters x
# 16 images in two views each, and 16 infrared clusters x 16 images. A data set adds type and data_root.
_base_ = ['./caj_views.py']

_load = dict(type='LoadReIDImage')
_resize = dict(type='Resize', scale=(144, 288), backend='pillow', interpolation='bicubic')
_drawn = dict(type='MultiGalleryBatchSampler', num_instances=16, batches_per_epoch=200)
train_dataloader = dict(
    batch_size=384,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(
        type='MultiDomainBatchSampler',
        parts=[
            dict(modality='visible', batch_size=128, batch_sampler=_drawn),
            dict(modality='infrared', batch_size=256, batch_sampler=_drawn),
        ],
    ),
    dataset=dict(split='train', pipeline=[_load, _resize, _base_.caj_pipeline[-1]]),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='test', pipeline=[_load, _resize, dict(type='PackReIDInputs')]),
)
test_dataloader = val_dataloader
