# Ablation: the source alone; the target is only tested on.
_base_ = ['./ecn_resnet50_1xb256-60e_duke2market-256x128.py']

model = dict(head=dict(memory=None))
train_dataloader = dict(
    batch_size=128,
    batch_sampler=dict(_delete_=True, type='RandomImageBatchSampler'),
    dataset=dict(
        _delete_=True,
        type='DukeMTMC',
        data_root='data/DukeMTMC-reID',
        split='train',
        pipeline={{_base_.source_pipeline}},
    ),
)
auto_scale_lr = dict(base_batch_size=128)
