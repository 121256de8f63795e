_base_ = [
    '../_base_/models/bot_resnet50.py',
    '../_base_/datasets/cuhk03np_detected.py',
    '../_base_/schedules/adam_120e.py',
    '../_base_/default_runtime.py',
]
