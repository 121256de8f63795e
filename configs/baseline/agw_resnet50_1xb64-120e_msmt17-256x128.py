_base_ = [
    '../_base_/models/agw_resnet50.py',
    '../_base_/datasets/msmt17.py',
    '../_base_/schedules/adam-center_120e.py',
    '../_base_/default_runtime.py',
]
