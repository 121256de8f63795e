# CM-NAS on batches of graph sampling: a visible and an infrared image represent each identity, and an epoch has 395
# batches instead of about 350. Identities are random while the learning rate rises.
_base_ = ['../cmnas/cmnas-share_resnet50_1xb128-120e_sysu-256x128.py']

train_dataloader = dict(sampler=dict(_delete_=True, type='GraphIdentitySampler', warmup=10))
custom_hooks = [*_base_.custom_hooks, dict(type='GraphSamplingHook')]
