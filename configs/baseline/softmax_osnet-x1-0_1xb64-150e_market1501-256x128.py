# OSNet from ImageNet weights, as torchreid fine-tunes it (im_osnet_x1_0_softmax_256x128_amsgrad). The weights are those
# of torchreid's model zoo, to be put into checkpoints/.
_base_ = ['./softmax_osnet-x1-0_1xb64-350e_market1501-256x128.py']

_weights = dict(type='Pretrained', checkpoint='checkpoints/osnet_x1_0_imagenet.pth')
model = dict(backbone=dict(init_cfg=_weights))
train_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=(128, 256)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackReIDInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=1.5e-3, weight_decay=5e-4, amsgrad=True))
param_scheduler = [dict(type='StepLR', step_size=60, gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=150, val_interval=50)

# Neck and classifier first. torchreid takes the linear layer of the neck from the file, too; here it begins anew.
custom_hooks = [*_base_.custom_hooks, dict(type='FreezeHook', modules=['backbone'], end=10, by_epoch=True)]
