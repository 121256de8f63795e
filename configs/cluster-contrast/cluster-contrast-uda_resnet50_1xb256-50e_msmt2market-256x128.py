# Cluster Contrast from MSMT17 to Market-1501. The authors publish no domain adaptation: the batches and the norms are
# those of SpCL, and the identities of the source are further rows of the memory.
_base_ = [
    '../_base_/models/contrast-uda_resnet50.py',
    '../_base_/datasets/source_unlabeled_256x128.py',
    '../_base_/schedules/adam_50e_step.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(norm_cfg=dict(ghost_size=64)),
    neck=dict(norm_cfg=dict(ghost_size=64), pool=dict(type='GeneralizedMeanPooling')),
    head=dict(memory=dict(type='ClusterMemory', temperature=0.05, momentum=0.1, rule='mean', joint=True)),
)
source = dict(type='MSMT17', data_root='data/MSMT17_V1', split='train', pipeline={{_base_.source_pipeline}})
target = dict(
    type='Market1501', data_root='data/Market-1501-v15.09.15', split='train', pipeline={{_base_.target_pipeline}}
)
_drawn = dict(type='MultiGalleryBatchSampler', num_instances=8, batches_per_epoch=200)
train_dataloader = dict(
    batch_size=256,
    batch_sampler=dict(
        parts=[
            dict(domain=0, batch_size=128, batch_sampler=_drawn),
            dict(domain=1, batch_size=128, batch_sampler=_drawn),
        ]
    ),
    dataset=dict(datasets=[source, target]),
)
val_dataloader = dict(dataset=dict(type='Market1501', data_root='data/Market-1501-v15.09.15'))
test_dataloader = val_dataloader
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='PseudoLabelHook', clustering=dict(type='JaccardDBSCAN', eps=0.6, min_samples=4, k1=30, k2=6)),
]
