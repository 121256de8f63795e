# CM-NAS on SYSU-MM01 with channel augmentation: trains the result of cmnas-search_resnet50_1xb128-120e_sysu-256x128.py.
_base_ = ['./cmnas-share_resnet50_1xb128-120e_sysu-256x128.py', '../_base_/datasets/channel_augmentation.py']

model = dict(arch='work_dirs/cmnas-search_resnet50_1xb128-120e_sysu-256x128/arch.json')
train_dataloader = dict(dataset=dict(pipeline=[*_base_.train_pipeline[:-2], _base_.channel_views]))
