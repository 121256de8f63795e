# AGW for visible and infrared images (Ye et al., TPAMI 2021, and the authors' code): a stem for each modality,
# non-local blocks, generalized means with a fixed exponent, cross entropy and the weighted triplet loss.
model = dict(
    type='CrossModalReID',
    backbone=dict(
        type='ResNetNL',
        depth=50,
        strides=(1, 2, 2, 1),
        out_indices=(3,),
        non_local_cfg=dict(reduction=2048),  # a single channel inside, as in their code; 2 is that of the paper
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    copied_layers=('conv1', 'bn1'),
    neck=dict(
        type='BNNeck',
        in_channels=2048,
        pool=dict(type='GeneralizedMeanPooling', p_trainable=False),
        init_cfg=dict(type='Normal', layer='_BatchNorm', mean=1.0, std=0.01),  # as the official code
    ),
    head=dict(
        type='CrossModalHead',
        in_channels=2048,
        loss_cls=dict(type='CrossEntropyLoss'),
        loss_triplet=dict(type='WeightedTripletLoss'),
        loss_correlation=None,
        loss_mmd=None,
    ),
    matcher=dict(type='CosineMatcher'),
)
