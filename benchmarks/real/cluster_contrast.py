# The built-in model, drawn to the people of vtest.avi by Cluster Contrast, without labels. It would soon know five
# people by heart, so it takes few small steps, and the first stages and the statistics of all norms stay as they are.
_base_ = [
    '../../configs/_base_/models/cluster-contrast_resnet50.py',
    '../../configs/_base_/datasets/procedural_daylight.py',
    '../../configs/_base_/default_runtime.py',
]

data_root = 'data/vtest'
load_from = 'mmreid/apis/builtin/bot_mobilenet-v2-short_1xb64-2e_procedural-128x64/model-3cc060d9.pth'
model = dict(
    backbone=dict(_delete_=True, type='MobileNetV2', out_indices=(5,), frozen_stages=4, norm_eval=True),
    neck=dict(in_channels=160, pool=dict(_delete_=True, type='GlobalAveragePooling'), norm_cfg=None),
    head=dict(in_channels=160),
    test_feat='before',
)
# Tracklets take the place of cameras: a cluster is shown through as many of them as possible.
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    batch_sampler=dict(_delete_=True, type='MultiGalleryBatchSampler', num_instances=16, batches_per_epoch=10),
    dataset=dict(type='VTest', data_root=data_root, persons='development', name='vtest-development'),
)
val_dataloader = dict(num_workers=0, dataset=train_dataloader['dataset'])
test_dataloader = dict(
    num_workers=0,
    dataset=dict(type='VTest', data_root=data_root, persons='test', name='vtest-test'),
)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4, weight_decay=5e-4))
param_scheduler = None
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=1)
val_cfg = dict(type='ReIDValLoop')
test_cfg = dict(type='ReIDTestLoop')
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='FreezeHook', modules=('neck',), end=1_000_000),
    dict(type='PseudoLabelHook', clustering=dict(type='JaccardDBSCAN', eps=0.6, min_samples=4, k1=30, k2=6)),
]
