# QAConv 2.1 with graph sampling, trained on Market-1501, tested on CUHK03-NP and MSMT17.
_base_ = [
    '../_base_/models/qaconv_resnet50_ibnb.py',
    '../_base_/datasets/qaconv_384x128.py',
    '../_base_/schedules/qaconv_60e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(type='Market1501', data_root='data/Market-1501-v15.09.15'))
val_dataloader = [_base_.val_dataloader[0], _base_.val_dataloader[2]]
test_dataloader = val_dataloader
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='GraphSamplingHook', feature_dtype='float16'),
    dict(type='AdaptiveScheduleHook'),
]
# The adaptive schedule may end training at any time.
default_hooks = dict(checkpoint=dict(interval=1))
