# The recipe of AGW on LLCM, which is younger than it.
_base_ = [
    '../_base_/models/agw-vi_resnet50.py',
    '../_base_/datasets/agw_288x144.py',
    '../_base_/schedules/agw_81e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(type='LLCM', data_root='data/LLCM'))
val_dataloader = dict(dataset=dict(type='LLCM', data_root='data/LLCM', direction='i2v'))
test_dataloader = val_dataloader
val_evaluator = dict(type='LLCMMetric')
test_evaluator = val_evaluator
