# QAConv 2.1 with graph sampling, trained on MSMT17, tested on CUHK03-NP and Market-1501.
_base_ = [
    '../_base_/models/qaconv_resnet50_ibnb.py',
    '../_base_/datasets/qaconv_384x128.py',
    '../_base_/schedules/qaconv_60e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(type='MSMT17', data_root='data/MSMT17_V1'))
val_dataloader = [_base_.val_dataloader[0], _base_.val_dataloader[1]]
test_dataloader = val_dataloader
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='GraphSamplingHook', feature_dtype='float16'),
    dict(type='AdaptiveScheduleHook'),
]
default_hooks = dict(checkpoint=dict(interval=1))
