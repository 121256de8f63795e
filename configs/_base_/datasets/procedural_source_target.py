# Procedural people in the layout of Market-1501, a labeled source and an unlabeled target in another domain: 32
# images of each per batch. The "Try it" section of docs/en/methods/ecn.md makes the data.
_base_ = ['./source_target_256x128.py']

source_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='RandomResizedCrop', scale=(64, 32), crop_ratio_range=(0.64, 1.0), aspect_ratio_range=(1 / 3, 1 / 2)),
    *_base_.source_pipeline[2:],
]
target_pipeline = [_base_.target_pipeline[0], source_pipeline[1], *_base_.target_pipeline[2:]]
test_pipeline = [dict(type='LoadReIDImage'), dict(type='Resize', scale=(32, 64)), dict(type='PackReIDInputs')]

source = dict(
    type='Market1501', data_root='data/procedural-source', split='train', pipeline=source_pipeline, name='source'
)
target = dict(
    type='Market1501', data_root='data/procedural-target', split='train', pipeline=target_pipeline, name='target'
)
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    batch_sampler=dict(parts=[dict(domain=0, batch_size=32), dict(domain=1, batch_size=32)]),
    dataset=dict(datasets=[source, target]),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(type='Market1501', data_root='data/procedural-target', pipeline=test_pipeline, name='procedural'),
)
test_dataloader = val_dataloader
