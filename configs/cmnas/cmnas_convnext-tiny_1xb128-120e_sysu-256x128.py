# CM-NAS with ConvNeXt-T on SYSU-MM01: trains the result of cmnas-search_convnext-tiny_1xb128-120e_sysu-256x128.py.
_base_ = [
    '../_base_/models/cmnas_convnext-tiny.py',
    '../_base_/datasets/sysu_mm01.py',
    '../_base_/schedules/cmnas_120e_adamw.py',
    '../_base_/default_runtime.py',
]

model = dict(arch='work_dirs/cmnas-search_convnext-tiny_1xb128-120e_sysu-256x128/arch.json')
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.003, update_buffers=True),
]
