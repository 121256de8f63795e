# QAConv 2.1 (Liao and Shao, ECCV 2020 and CVPR 2022): ResNet-50-IBN-b cut after its third stage, maps of 128 channels,
# hard triplet loss on the scores. For images of 384 x 128, whose maps are 24 x 8.
model = dict(
    type='PairwiseReID',
    # Images in [0, 1], without ImageNet's mean and standard deviation.
    data_preprocessor=dict(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
    backbone=dict(
        type='ResNetIBN',
        depth=50,
        ibn='b',
        out_indices=(2,),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/XingangPan/IBN-Net/releases/download/v1.0/resnet50_ibn_b-9ca61e85.pth',
        ),
    ),
    backbone_norm_eval=True,
    neck=dict(type='FeatureMapNeck', in_channels=1024, out_channels=128),
    matcher=dict(type='QAConvMatcher', size=(24, 8)),
    head=dict(type='PairwiseHead', loss_score=dict(type='ScoreTripletLoss', margin=16.0)),
)
