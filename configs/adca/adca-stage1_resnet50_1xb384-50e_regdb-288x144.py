# Stage 1 of ADCA on RegDB by the authors' recipe, trial 1: tighter clusters and 100 batches in an epoch.
_base_ = [
    '../_base_/models/adca_resnet50.py',
    '../_base_/datasets/unlabeled_vi_288x144.py',
    '../_base_/schedules/adam_50e_step.py',
    '../_base_/default_runtime.py',
]

trial = 1  # of 10; must be the same in the training and the test set
_drawn = dict(type='MultiGalleryBatchSampler', num_instances=16, batches_per_epoch=100)
train_dataloader = dict(
    batch_sampler=dict(
        parts=[
            dict(modality='visible', batch_size=128, batch_sampler=_drawn),
            dict(modality='infrared', batch_size=256, batch_sampler=_drawn),
        ]
    ),
    dataset=dict(type='RegDB', data_root='data/RegDB', trial=trial),
)
val_dataloader = dict(dataset=dict(type='RegDB', data_root='data/RegDB', trial=trial, direction='v2t'))
test_dataloader = val_dataloader
val_evaluator = dict(type='RegDBMetric')  # both directions
test_evaluator = val_evaluator
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='PseudoLabelHook',
        clustering=dict(type='JaccardDBSCAN', eps=0.3, min_samples=4, k1=30, k2=6),
        mirror=True,
    ),
]
auto_scale_lr = dict(base_batch_size=384)
