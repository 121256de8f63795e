# CM-NAS with channel augmentation: trains the result of cmnas-search_resnet18_1xb64-40e_procedural-64x32.py.
_base_ = ['./cmnas-share_resnet18_1xb64-40e_procedural-64x32.py', '../_base_/datasets/channel_augmentation.py']

model = dict(arch='work_dirs/cmnas-search_resnet18_1xb64-40e_procedural-64x32/arch.json')
train_dataloader = dict(dataset=dict(pipeline=[*_base_.train_pipeline[:-1], _base_.channel_views]))
