# The unchanged strong baseline, with classifier and batch-hard triplet loss, on batches of graph sampling.
_base_ = [
    '../_base_/models/bot_resnet50.py',
    '../_base_/datasets/market1501.py',
    '../_base_/schedules/gs_adam_32e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(sampler=dict(_delete_=True, type='GraphIdentitySampler', warmup=3))
custom_hooks = [*_base_.custom_hooks, dict(type='GraphSamplingHook')]
