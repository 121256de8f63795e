# Cluster Contrast in minutes on a CPU: a narrow ResNet-18 on procedural people without labels. Give it the weights of a
# network that has seen other people: --cfg-options load_from=...
_base_ = [
    '../_base_/models/cluster-contrast_resnet50.py',
    '../_base_/datasets/procedural_unlabeled.py',
    '../_base_/schedules/adam_20e_cosine.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(depth=18, base_channels=16, norm_cfg=dict(_delete_=True, type='BN'), init_cfg=None),
    neck=dict(in_channels=128, norm_cfg=None),
    head=dict(in_channels=128),
)
# Nine images of each person: shorter lists of neighbors than for the 17 of Market-1501.
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='PseudoLabelHook', clustering=dict(type='JaccardDBSCAN', eps=0.5, k1=8, k2=3)),
]
auto_scale_lr = dict(base_batch_size=64, enable=False)
