# Cluster Contrast with a labeled source in minutes on a CPU, in our design; without one:
# cluster-contrast_resnet18_1xb64-20e_procedural-64x32.py
_base_ = [
    '../_base_/models/contrast-uda_resnet50.py',
    '../_base_/datasets/procedural_source_unlabeled.py',
    '../_base_/schedules/adam_20e_cosine.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(depth=18, base_channels=16, norm_cfg=dict(ghost_size=64), init_cfg=None),
    neck=dict(in_channels=128, norm_cfg=dict(ghost_size=64), pool=dict(type='GeneralizedMeanPooling')),
    head=dict(
        in_channels=128,
        memory=dict(type='ClusterMemory', temperature=0.05, momentum=0.1, rule='mean', joint=True),
    ),
)
# Nine images of each person: shorter lists of neighbors than for the 17 of Market-1501.
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='PseudoLabelHook', clustering=dict(type='JaccardDBSCAN', eps=0.5, k1=8, k2=3)),
]
auto_scale_lr = dict(base_batch_size=128, enable=False)
