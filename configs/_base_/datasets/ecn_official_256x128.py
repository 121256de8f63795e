# Images as in the official code of ECN, source and target alike. A config adds the data sets.
_base_ = ['./source_target_256x128.py']

_augment = [
    dict(type='UprightCrop', scale=(256, 128), crop_ratio_range=(0.64, 1.0), aspect_ratio_range=(2.0, 3.0)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RedrawnErasing', erase_prob=0.5, area_range=(0.02, 0.2), aspect_range=(0.3, 3.0), may_span=True),
]
source_pipeline = [_base_.source_pipeline[0], *_augment, _base_.source_pipeline[-1]]
target_pipeline = [_base_.target_pipeline[0], *_augment, _base_.target_pipeline[-1]]
test_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=(128, 256), backend='pillow', interpolation='bicubic'),
    dict(type='PackReIDInputs'),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ap='trapezoid')  # the published mAP; that of other papers is a little higher
test_evaluator = val_evaluator
