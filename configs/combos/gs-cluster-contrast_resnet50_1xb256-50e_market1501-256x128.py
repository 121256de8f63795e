# Cluster Contrast on batches of graph sampling: a cluster and the 15 that the model finds most like it.
_base_ = ['../cluster-contrast/cluster-contrast_resnet50_1xb256-50e_market1501-256x128.py']

train_dataloader = dict(
    sampler=dict(_delete_=True, type='GraphIdentitySampler', batches_per_epoch=200),
    batch_sampler=dict(
        _delete_=True,
        type='IdentityBatchSampler',
        instance_sampler=dict(type='KInstanceSampler', num_instances=16),
    ),
)
custom_hooks = [*_base_.custom_hooks, dict(type='GraphSamplingHook')]
