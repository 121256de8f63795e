# OSNet-AIN trained on all of MSMT17 and tested on a data set it has never seen (Zhou et al., TPAMI 2021), with
# torchreid's settings for Market-1501 (im_osnet_ain_x1_0_softmax_256x128_amsgrad_cosine). Put the weights from
# torchreid's model zoo into checkpoints/.
_base_ = [
    '../_base_/models/osnet_x1-0.py',
    '../_base_/datasets/market1501.py',
    '../_base_/schedules/adam_150e_step.py',
    '../_base_/default_runtime.py',
]

_weights = dict(type='Pretrained', checkpoint='checkpoints/osnet_ain_x1_0_imagenet.pth')
model = dict(backbone=dict(variant='ain', init_cfg=_weights), matcher=dict(type='CosineMatcher'))

train_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=(128, 256)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='ColorJitter', brightness=0.2, contrast=0.15),
    dict(type='PackReIDInputs'),
]
# Random images, whatever their identities.
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    batch_sampler=dict(_delete_=True, type='RandomImageBatchSampler'),
    dataset=dict(type='MSMT17', data_root='data/MSMT17_V1', combine_all=True, pipeline=train_pipeline),
)

param_scheduler = [dict(type='CosineAnnealingLR', T_max=100, by_epoch=True)]
train_cfg = dict(max_epochs=100)

# Neck and classifier first. torchreid takes the linear layer of the neck from the file, too; here it is random.
custom_hooks = [*_base_.custom_hooks, dict(type='FreezeHook', modules=['backbone'], end=10, by_epoch=True)]
