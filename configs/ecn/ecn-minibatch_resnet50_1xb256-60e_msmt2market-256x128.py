# Ablation: the batch instead of the memory, with 64 target images twice each.
_base_ = ['./ecn_resnet50_1xb256-60e_msmt2market-256x128.py']

model = dict(head=dict(memory=dict(_delete_=True, type='MiniBatchMemory')))
train_dataloader = dict(
    batch_sampler=dict(
        parts=[
            dict(domain=0, batch_size=128),
            dict(domain=1, batch_size=128, batch_sampler=dict(type='RepeatedImageBatchSampler', views=2)),
        ]
    )
)
