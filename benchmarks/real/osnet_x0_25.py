# The published OSNet x0.25 of torchreid, on the people of vtest.avi; ours.pth is what torchreid_to_mmreid.py wrote.
_base_ = ['../../configs/_base_/datasets/vtest.py', '../../configs/_base_/default_runtime.py']

_resize = dict(type='Resize', scale=(128, 256), backend='pillow', interpolation='bilinear')
test_pipeline = [dict(type='LoadReIDImage'), _resize, dict(type='PackReIDInputs')]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

model = dict(
    type='ImageReID',
    backbone=dict(type='OSNet', arch='x0_25'),
    neck=dict(type='EmbeddingNeck', in_channels=128, out_channels=512, relu=True),
    head=dict(type='ReIDHead', in_channels=512),
    test_feat='after',
)
