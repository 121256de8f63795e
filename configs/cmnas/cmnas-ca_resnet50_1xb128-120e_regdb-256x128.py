# CM-NAS on RegDB with channel augmentation: trains the result of cmnas-search_resnet50_1xb128-120e_regdb-256x128.py.
_base_ = ['./cmnas-share_resnet50_1xb128-120e_regdb-256x128.py', '../_base_/datasets/channel_augmentation.py']

model = dict(arch='work_dirs/cmnas-search_resnet50_1xb128-120e_regdb-256x128/arch.json')
train_dataloader = dict(dataset=dict(pipeline=[*_base_.train_pipeline[:-2], _base_.channel_views]))
