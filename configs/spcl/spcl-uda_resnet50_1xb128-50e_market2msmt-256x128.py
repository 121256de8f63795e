# SpCL from Market-1501 to MSMT17: 800 batches in an epoch.
_base_ = ['./spcl-uda_resnet50_1xb128-50e_msmt2market-256x128.py']

source = dict(
    type='Market1501', data_root='data/Market-1501-v15.09.15', split='train', pipeline={{_base_.source_pipeline}}
)
target = dict(type='MSMT17', data_root='data/MSMT17_V1', split='train', pipeline={{_base_.target_pipeline}})
_drawn = dict(type='MultiGalleryBatchSampler', num_instances=4, batches_per_epoch=800)
train_dataloader = dict(
    batch_sampler=dict(
        parts=[dict(domain=0, batch_size=64, batch_sampler=_drawn), dict(domain=1, batch_size=64, batch_sampler=_drawn)]
    ),
    dataset=dict(datasets=[source, target]),
)
val_dataloader = dict(dataset=dict(type='MSMT17', data_root='data/MSMT17_V1'))
test_dataloader = val_dataloader
