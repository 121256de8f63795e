# Cluster Contrast without labels on Market-1501, as in run_code.sh of the authors: 16 clusters x 16 images.
_base_ = [
    '../_base_/models/cluster-contrast_resnet50.py',
    '../_base_/datasets/unlabeled_256x128.py',
    '../_base_/schedules/adam_50e_step.py',
    '../_base_/default_runtime.py',
]

data = dict(type='Market1501', data_root='data/Market-1501-v15.09.15')
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='PseudoLabelHook', clustering=dict(type='JaccardDBSCAN', eps=0.6, min_samples=4, k1=30, k2=6)),
]
