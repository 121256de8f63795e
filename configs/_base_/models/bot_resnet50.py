# Strong baseline, "bag of tricks" (Luo et al., CVPRW 2019): ResNet-50 with last stride 1, BNNeck, label smoothing,
# batch-hard triplet loss.
model = dict(
    type='ImageReID',
    backbone=dict(
        type='ResNet',
        depth=50,
        strides=(1, 2, 2, 1),
        out_indices=(3,),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    neck=dict(type='BNNeck', in_channels=2048, pool=dict(type='GlobalAveragePooling')),
    head=dict(
        type='ReIDHead',
        in_channels=2048,
        loss_cls=dict(type='SmoothedCrossEntropyLoss', label_smooth_val=0.1),
        loss_metric=dict(type='TripletLoss', margin=0.3),
    ),
    matcher=dict(type='CosineMatcher'),
)
