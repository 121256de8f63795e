# CM-NAS (Fu et al., ICCV 2021): ResNet-50 with last stride 1 and branch norms, BNNeck, cross entropy, four-way triplet
# loss, C3MMD. All norms are shared unless `arch` says which are split.
model = dict(
    type='CrossModalReID',
    backbone=dict(
        type='ResNet',
        depth=50,
        strides=(1, 2, 2, 1),
        out_indices=(3,),
        norm_cfg=dict(type='mmreid.BranchBN2d'),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    neck=dict(
        type='BNNeck',
        in_channels=2048,
        pool=dict(type='GlobalAveragePooling'),
        init_cfg=dict(type='Normal', layer='_BatchNorm', mean=1.0, std=0.01),  # as the official code
    ),
    head=dict(
        type='CrossModalHead',
        in_channels=2048,
        loss_cls=dict(type='CrossEntropyLoss'),
        loss_triplet=dict(type='CrossModalTripletLoss', margin=0.4),
        loss_correlation=dict(type='CorrelationConsistencyLoss', loss_weight=5.0),
        loss_mmd=dict(type='ClassMMDLoss', loss_weight=0.05),
    ),
    matcher=dict(type='CosineMatcher'),
)
