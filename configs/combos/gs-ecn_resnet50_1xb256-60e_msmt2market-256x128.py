# ECN with graph sampling on the source side of each batch: an identity and its 63 nearest, two images of each. An epoch
# has as many batches as ECN's, so only some of the 1,041 identities are anchors in it, others in the next.
_base_ = ['../ecn/ecn_resnet50_1xb256-60e_msmt2market-256x128.py']

_source = dict(
    domain=0,
    batch_size=128,
    sampler=dict(type='GraphIdentitySampler', batches_per_epoch=254),
    batch_sampler=dict(type='IdentityBatchSampler', instance_sampler=dict(type='KInstanceSampler', num_instances=2)),
)
train_dataloader = dict(batch_sampler=dict(parts=[_source, dict(domain=1, batch_size=128)]))
custom_hooks = [*_base_.custom_hooks, dict(type='GraphSamplingHook')]
