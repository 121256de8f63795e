# Version 1.2 of the official code: random images against a memory of all identities, no graph. (Without its ten trial
# initializations; the augmentation is that of 2.1.)
_base_ = ['./qaconv-gs_resnet50-ibnb_1xb64-60e_market1501-384x128.py']

model = dict(
    neck=dict(out_channels=64),
    head=dict(loss_score=None, loss_memory=dict(type='ClassMemoryLoss', channels=64)),
)
train_dataloader = dict(
    batch_size=8,
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    batch_sampler=dict(_delete_=True, type='RandomImageBatchSampler'),
)
param_scheduler = [dict(type='MultiStepLR', milestones=[10], gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=15, val_interval=15)
custom_hooks = [
    hook for hook in _base_.custom_hooks if hook['type'] not in ('AdaptiveScheduleHook', 'GraphSamplingHook')
]
auto_scale_lr = dict(base_batch_size=8)
