# Ablation: trains on the source alone and tests on the target.
_base_ = ['./ecn_resnet50_1xb256-60e_msmt2market-256x128.py']

model = dict(head=dict(memory=None))
train_dataloader = dict(
    batch_size=128,
    batch_sampler=dict(_delete_=True, type='RandomImageBatchSampler'),
    dataset=dict(_delete_=True, **_base_.source),
)
auto_scale_lr = dict(base_batch_size=128)
