# Camera styles of Market-1501. The others of this folder inherit from here.
_base_ = [
    '../_base_/models/stargan.py',
    '../_base_/datasets/camstyle_256x128.py',
    '../_base_/schedules/stargan_220e.py',
    '../_base_/default_runtime.py',
]

runner_type = 'CamStyleRunner'
train_dataloader = dict(dataset=dict(type='Market1501', data_root='data/Market-1501-v15.09.15'))
custom_hooks = [*_base_.custom_hooks, dict(type='StyleGridHook', interval=1000)]
