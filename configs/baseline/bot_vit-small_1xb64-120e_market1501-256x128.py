# The baseline of TransReID (He et al., ICCV 2021), with a ViT-S: SGD, no label smoothing, soft-margin triplet loss,
# compared before the batch norm. Theirs erases with noise and normalizes with mean and deviation 0.5; here the erasing
# is that of the strong baseline, and images are normalized as the weights expect. Put the weights, DeiT-S from
# MMPretrain's model zoo, into checkpoints/.
_base_ = [
    '../_base_/models/bot_resnet50.py',
    '../_base_/datasets/market1501.py',
    '../_base_/schedules/sgd_120e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='VisionTransformer',
        arch='deit-small',
        img_size=(256, 128),
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='checkpoints/deit-small_pt-4xb256_in1k_20220218-9425b9bb.pth',
            prefix='backbone.',
        ),
    ),
    neck=dict(in_channels=384),
    head=dict(
        in_channels=384,
        loss_cls=dict(_delete_=True, type='CrossEntropyLoss'),
        loss_metric=dict(margin=None),
    ),
    test_feat='before',
)
