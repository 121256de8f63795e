# The same by Cluster Contrast with drawn people beside the real ones, with labels: each is a further row of the memory.
_base_ = ['./cluster_contrast.py']

_drawn = dict(type='MultiGalleryBatchSampler', num_instances=16, batches_per_epoch=10)
_people = dict(split='train', name='people')
_pack_target = dict(type='PackReIDInputs', algorithm_keys=('slot',))
model = dict(type='DomainAdaptiveReID')
train_dataloader = dict(
    batch_size=64,
    batch_sampler=dict(
        _delete_=True,
        type='MultiDomainBatchSampler',
        parts=[
            dict(domain=0, batch_size=32, batch_sampler=_drawn),
            dict(domain=1, batch_size=32, batch_sampler=_drawn),
        ],
    ),
    dataset=dict(
        _delete_=True,
        type='SourceTargetDataset',
        datasets=[
            dict(_people, type='Market1501', data_root='data/procedural-few', pipeline=_base_.train_pipeline),
            dict(
                _people,
                type='VTest',
                data_root=_base_.data_root,
                persons='development',
                pipeline=[*_base_.train_pipeline[:-1], _pack_target],
            ),
        ],
    ),
)
