# OSNet from ImageNet weights, as torchreid fine-tunes it (im_osnet_x1_0_softmax_256x128_amsgrad). Put the weights from
# torchreid's model zoo into checkpoints/.
_base_ = [
    '../_base_/models/osnet_x1-0.py',
    '../_base_/datasets/market1501.py',
    '../_base_/schedules/adam_150e_step.py',
    '../_base_/default_runtime.py',
]

_weights = dict(type='Pretrained', checkpoint='checkpoints/osnet_x1_0_imagenet.pth')
model = dict(backbone=dict(init_cfg=_weights))
train_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=(128, 256)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackReIDInputs'),
]
# Random images, whatever their identities.
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    batch_sampler=dict(_delete_=True, type='RandomImageBatchSampler'),
    dataset=dict(pipeline=train_pipeline),
)

# Neck and classifier first. torchreid takes the linear layer of the neck from the file, too; here it is random.
custom_hooks = [*_base_.custom_hooks, dict(type='FreezeHook', modules=['backbone'], end=10, by_epoch=True)]
