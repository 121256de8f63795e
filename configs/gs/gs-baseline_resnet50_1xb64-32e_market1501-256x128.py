# Graph sampling on one embedding per image: the soft-margin triplet loss over all triplets alone, no classifier and no
# batch norm after the embedding.
_base_ = [
    '../_base_/models/bot_resnet50.py',
    '../_base_/datasets/market1501.py',
    '../_base_/schedules/gs_adam_32e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    head=dict(loss_cls=None, loss_metric=dict(_delete_=True, type='AllTripletsLoss', margin=None)),
    test_feat='before',
)
# Three epochs of random identities first, while the learning rate rises.
train_dataloader = dict(sampler=dict(_delete_=True, type='GraphIdentitySampler', warmup=3))
custom_hooks = [*_base_.custom_hooks, dict(type='GraphSamplingHook')]
