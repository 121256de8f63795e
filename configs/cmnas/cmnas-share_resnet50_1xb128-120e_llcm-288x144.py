# All norms shared, all losses, weights averaged as on SYSU-MM01: what the other configs on LLCM inherit.
_base_ = [
    '../_base_/models/cmnas_resnet50.py',
    '../_base_/datasets/llcm.py',
    '../_base_/schedules/cmnas_120e.py',
    '../_base_/default_runtime.py',
]

custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.003, update_buffers=True),
]
