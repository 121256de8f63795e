# Procedural people at 64x32 whose labels PseudoLabelHook makes: 4 images of each cluster. The "Try it" section of
# docs/en/methods/cluster_contrast.md makes the data.
_base_ = ['./procedural_64x32.py']

data_root = 'data/procedural-unlabeled'
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    batch_sampler=dict(_delete_=True, type='MultiGalleryBatchSampler', num_instances=4, batches_per_epoch=9),
    dataset=dict(data_root=data_root, name='unlabeled'),
)
val_dataloader = dict(dataset=dict(data_root=data_root, name='procedural'))
test_dataloader = val_dataloader
