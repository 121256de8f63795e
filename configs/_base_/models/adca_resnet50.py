# ADCA (Yang et al., ACM MM 2022): ResNet-50 with last stride 1 and a stem for each modality, generalized means with a
# fixed exponent, clusters of each modality on their own. The batch norms take the statistics of 64 visible and 64
# infrared images, the share of one of the authors' four GPUs. Testing adds the features of the mirrored images.
model = dict(
    type='UnsupervisedCrossModalReID',
    backbone=dict(
        type='ResNet',
        depth=50,
        strides=(1, 2, 2, 1),
        out_indices=(3,),
        norm_cfg=dict(type='mmreid.BranchBN2d', ghost_size=64),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    copied_layers=('conv1',),
    arch={'*': 'share', 'bn1': 'split'},
    neck=dict(
        type='BNNeck',
        in_channels=2048,
        pool=dict(type='GeneralizedMeanPooling', p_trainable=False),
        norm_cfg=dict(type='mmreid.BranchBN1d', ghost_size=64),
        init_cfg=dict(type='Normal', layer='BatchNorm1d', mean=1.0, std=0.01),  # as the official code
    ),
    head=dict(
        type='ContrastHead',
        in_channels=2048,
        memory=dict(type='ClusterMemory', temperature=0.05, momentum=0.1, rule='mean'),
    ),
    matcher=dict(type='CosineMatcher'),
    flip_test=True,
)
