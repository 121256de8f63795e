# The warm start of benchmarks/: a narrow ResNet-18 on visible people who occur in no other procedural world. It
# replaces ImageNet weights. Run it with benchmarks/warm_start/train_warm_start.py, which makes the data first.
_base_ = ['../baseline/quickstart_resnet18_1xb64-25e_procedural-64x32.py']

data_root = 'data/procedural-pretrain'
model = dict(neck=dict(pool=dict(type='GeneralizedMeanPooling')))
train_dataloader = dict(num_workers=0, dataset=dict(data_root=data_root))
val_dataloader = dict(num_workers=0, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader

param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=0.1, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=0.1, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=20, val_interval=20)
