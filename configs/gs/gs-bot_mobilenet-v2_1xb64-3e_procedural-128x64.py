# The strong baseline from ImageNet weights on procedural people in daylight, with batches of people who look alike.
_base_ = ['../baseline/bot_mobilenet-v2_1xb64-2e_procedural-128x64.py']

train_dataloader = dict(sampler=dict(_delete_=True, type='GraphIdentitySampler', warmup=1, batches_per_epoch=100))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=0, end=3, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=3, val_interval=3)
custom_hooks = [*_base_.custom_hooks, dict(type='GraphSamplingHook')]
