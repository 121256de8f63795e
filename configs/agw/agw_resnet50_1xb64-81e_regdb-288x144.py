# AGW on RegDB by the authors' recipe, trial 1.
_base_ = [
    '../_base_/models/agw-vi_resnet50.py',
    '../_base_/datasets/agw_288x144.py',
    '../_base_/schedules/agw_81e.py',
    '../_base_/default_runtime.py',
]

trial = 1  # of 10; must be the same in the training and the test set
train_dataloader = dict(dataset=dict(type='RegDB', data_root='data/RegDB', trial=trial))
val_dataloader = dict(dataset=dict(type='RegDB', data_root='data/RegDB', trial=trial, direction='v2t'))
test_dataloader = val_dataloader
val_evaluator = dict(type='RegDBMetric')  # both directions
test_evaluator = val_evaluator
