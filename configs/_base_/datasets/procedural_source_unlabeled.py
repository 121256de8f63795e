# Procedural people at 64x32, a labeled source and a target whose labels PseudoLabelHook makes: 64 images of each per
# batch. The "Try it" section of docs/en/methods/cluster_contrast.md makes the data.
_base_ = ['./procedural_64x32.py']

_source = dict(
    type='Market1501',
    data_root='data/procedural-source',
    split='train',
    pipeline=_base_.train_pipeline,
    name='source',
)
_target = dict(
    type='Market1501',
    data_root='data/procedural-unlabeled',
    split='train',
    pipeline=[*_base_.train_pipeline[:-1], dict(type='PackReIDInputs', algorithm_keys=('slot',))],
    name='unlabeled',
)
_drawn = dict(type='MultiGalleryBatchSampler', num_instances=4, batches_per_epoch=9)
train_dataloader = dict(
    batch_size=128,
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    batch_sampler=dict(
        _delete_=True,
        type='MultiDomainBatchSampler',
        parts=[
            dict(domain=0, batch_size=64, batch_sampler=_drawn),
            dict(domain=1, batch_size=64, batch_sampler=_drawn),
        ],
    ),
    dataset=dict(_delete_=True, type='SourceTargetDataset', datasets=[_source, _target]),
)
val_dataloader = dict(dataset=dict(data_root='data/procedural-unlabeled', name='procedural'))
test_dataloader = val_dataloader
