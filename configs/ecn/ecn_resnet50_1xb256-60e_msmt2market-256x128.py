# ECN from MSMT17 to Market-1501. Most configs in this folder inherit from it.
_base_ = [
    '../_base_/models/ecn_resnet50.py',
    '../_base_/datasets/source_target_256x128.py',
    '../_base_/schedules/ecn_60e.py',
    '../_base_/default_runtime.py',
]

source = dict(type='MSMT17', data_root='data/MSMT17_V1', split='train', pipeline={{_base_.source_pipeline}})
target = dict(
    type='Market1501', data_root='data/Market-1501-v15.09.15', split='train', pipeline={{_base_.target_pipeline}}
)
train_dataloader = dict(dataset=dict(datasets=[source, target]))
val_dataloader = dict(dataset=dict(type='Market1501', data_root='data/Market-1501-v15.09.15'))
test_dataloader = val_dataloader
custom_hooks = [*_base_.custom_hooks, dict(type='MemoryUpdateHook', alpha=0.01)]
