# SpCL from Market-1501 to MSMT17: 800 batches in an epoch.
_base_ = [
    '../_base_/models/contrast-uda_resnet50.py',
    '../_base_/datasets/source_unlabeled_256x128.py',
    '../_base_/schedules/adam_50e_step.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(memory=dict(type='HybridMemory', temperature=0.05, momentum=0.2)))
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
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='PseudoLabelHook',
        clustering=dict(type='SelfPacedDBSCAN', eps=0.6, min_samples=4, k1=30, k2=6, eps_gap=0.02),
        outliers='own',
    ),
]
auto_scale_lr = dict(base_batch_size=128)
