# Cluster Contrast (Dai et al., ACCV 2022): ResNet-50 with last stride 1, GeM pooling, a memory with a row for each
# cluster. The batch norms take the statistics of 64 images, the share of one of the authors' four GPUs.
model = dict(
    type='UnsupervisedReID',
    backbone=dict(
        type='ResNet',
        depth=50,
        strides=(1, 2, 2, 1),
        out_indices=(3,),
        norm_cfg=dict(type='mmreid.GhostBN2d', ghost_size=64),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    neck=dict(
        type='BNNeck',
        in_channels=2048,
        pool=dict(type='GeneralizedMeanPooling'),
        norm_cfg=dict(type='mmreid.GhostBN1d', ghost_size=64),
    ),
    head=dict(
        type='ContrastHead',
        in_channels=2048,
        memory=dict(type='ClusterMemory', temperature=0.05, momentum=0.1, rule='mean'),
    ),
    matcher=dict(type='CosineMatcher'),
)
