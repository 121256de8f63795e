# The official recipe of ECN from Market-1501 to MSMT17, without erasing. What still differs: docs/en/methods/ecn.md.
# All styled images are in one folder of the data set.
_base_ = [
    '../_base_/models/ecn_resnet50.py',
    '../_base_/datasets/ecn_official_256x128.py',
    '../_base_/schedules/ecn_60e.py',
    '../_base_/default_runtime.py',
]

source_pipeline = [step for step in _base_.source_pipeline if step['type'] != 'RedrawnErasing']
target_pipeline = [
    dict(type='LoadCamStyleImage', folder='data/MSMT17_V1/bounding_box_train_camstyle'),
    *[step for step in _base_.target_pipeline[1:] if step['type'] != 'RedrawnErasing'],
]
source = dict(type='Market1501', data_root='data/Market-1501-v15.09.15', split='train', pipeline=source_pipeline)
target = dict(type='MSMT17', data_root='data/MSMT17_V1', split='train', pipeline=target_pipeline)
train_dataloader = dict(dataset=dict(datasets=[source, target]))
val_dataloader = dict(dataset=dict(type='MSMT17', data_root='data/MSMT17_V1'))
test_dataloader = val_dataloader
custom_hooks = [*_base_.custom_hooks, dict(type='MemoryUpdateHook', alpha=0.01)]
