# AGW on SYSU-MM01 by the authors' recipe.
_base_ = [
    '../_base_/models/agw-vi_resnet50.py',
    '../_base_/datasets/agw_288x144.py',
    '../_base_/schedules/agw_81e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(type='SYSUMM01', data_root='data/SYSU-MM01'))
val_dataloader = dict(dataset=dict(type='SYSUMM01', data_root='data/SYSU-MM01', mode='all'))
test_dataloader = val_dataloader
val_evaluator = dict(type='SYSUMetric')  # all search, single-shot
test_evaluator = dict(type='SYSUMetric', mode=('all', 'indoor'), shot=(1, 10))
