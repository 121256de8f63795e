# The official recipe of ECN from DukeMTMC-reID to Market-1501. What still differs: docs/en/methods/ecn.md.
# DukeMTMC-reID was withdrawn by its owners, see docs/en/datasets/dukemtmc.md.
_base_ = [
    '../_base_/models/ecn_resnet50.py',
    '../_base_/datasets/ecn_official_256x128.py',
    '../_base_/schedules/ecn_60e.py',
    '../_base_/default_runtime.py',
]

source = dict(type='DukeMTMC', data_root='data/DukeMTMC-reID', split='train', pipeline={{_base_.source_pipeline}})
target = dict(
    type='Market1501', data_root='data/Market-1501-v15.09.15', split='train', pipeline={{_base_.target_pipeline}}
)
train_dataloader = dict(dataset=dict(datasets=[source, target]))
val_dataloader = dict(dataset=dict(type='Market1501', data_root='data/Market-1501-v15.09.15'))
test_dataloader = val_dataloader
custom_hooks = [*_base_.custom_hooks, dict(type='MemoryUpdateHook', alpha=0.01)]
