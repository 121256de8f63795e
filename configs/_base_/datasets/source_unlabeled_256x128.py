# A labeled source and an unlabeled target at 256x128, 64 images of each in a batch: 4 of each identity and of each
# cluster. A config adds the data sets: train_dataloader = dict(dataset=dict(datasets=[source, target])).
_base_ = ['./unlabeled_256x128.py']

source_pipeline = _base_.train_pipeline
target_pipeline = [*source_pipeline[:-1], dict(type='PackReIDInputs', algorithm_keys=('slot',))]
_drawn = dict(type='MultiGalleryBatchSampler', num_instances=4, batches_per_epoch=400)
train_dataloader = dict(
    batch_size=128,
    batch_sampler=dict(
        _delete_=True,
        type='MultiDomainBatchSampler',
        parts=[
            dict(domain=0, batch_size=64, batch_sampler=_drawn),
            dict(domain=1, batch_size=64, batch_sampler=_drawn),
        ],
    ),
    dataset=dict(_delete_=True, type='SourceTargetDataset'),
)
