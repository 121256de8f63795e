# QAConv 2.1 with graph sampling, trained on the synthetic RandPerson, tested on CUHK03-NP, Market-1501 and MSMT17.
_base_ = [
    '../_base_/models/qaconv_resnet50_ibnb.py',
    '../_base_/datasets/qaconv_384x128.py',
    '../_base_/schedules/qaconv_60e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(type='RandPerson', data_root='data/randperson_subset'))
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='GraphSamplingHook', feature_dtype='float16'),
    dict(type='AdaptiveScheduleHook'),
]
default_hooks = dict(checkpoint=dict(interval=1))
