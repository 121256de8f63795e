# Version 2.0 of the official code: maps of 64 channels, pairwise matching loss, 4 images of each identity, a first
# epoch without a graph, fixed steps. (Its graph was re-ranked, which version 2.1 gave up; the augmentation is that of
# 2.1.)
_base_ = ['./qaconv-gs_resnet50-ibnb_1xb64-60e_market1501-384x128.py']

model = dict(neck=dict(out_channels=64), head=dict(loss_score=dict(_delete_=True, type='PairwiseMatchingLoss')))
train_dataloader = dict(sampler=dict(warmup=1), batch_sampler=dict(instance_sampler=dict(num_instances=4)))
_part = dict(optimizer=dict(lr=1e-3), clip_grad=dict(max_norm=512.0))
optim_wrapper = dict(model=_part, matcher=_part)
param_scheduler = [dict(type='MultiStepLR', milestones=[10], gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=15, val_interval=15)
custom_hooks = [hook for hook in _base_.custom_hooks if hook['type'] != 'AdaptiveScheduleHook']
