# Ablation: trains on the source alone and tests on the target.
_base_ = ['./ecn_resnet18_1xb64-40e_procedural-64x32.py']

model = dict(head=dict(memory=None))
train_dataloader = dict(
    batch_size=32,
    batch_sampler=dict(_delete_=True, type='RandomImageBatchSampler'),
    dataset=dict(_delete_=True, **_base_.source),
)
auto_scale_lr = dict(base_batch_size=32)
