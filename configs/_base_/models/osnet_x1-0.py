# OSNet (Zhou et al., ICCV 2019) as torchreid trains it: cross entropy alone, on the vector of 512 that testing
# compares.
model = dict(
    type='ImageReID',
    backbone=dict(type='OSNet', arch='x1_0'),
    neck=dict(type='EmbeddingNeck', in_channels=512, out_channels=512, relu=True),
    head=dict(
        type='ReIDHead',
        in_channels=512,
        loss_cls=dict(type='SmoothedCrossEntropyLoss', label_smooth_val=0.1),
    ),
    matcher=dict(type='EuclideanMatcher'),
)
