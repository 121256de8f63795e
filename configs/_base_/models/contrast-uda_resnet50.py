# A labeled source and an unlabeled target with a batch norm each, the last one with a shift (domain-specific batch
# norms of SpCL). A config adds the memory, model.head.memory, and the size of the statistics.
model = dict(
    type='DomainAdaptiveReID',
    backbone=dict(
        type='ResNet',
        depth=50,
        strides=(1, 2, 2, 1),
        out_indices=(3,),
        norm_cfg=dict(type='mmreid.BranchBN2d', ghost_size=16),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    neck=dict(
        type='BNNeck',
        in_channels=2048,
        with_bias=True,
        norm_cfg=dict(type='mmreid.BranchBN1d', ghost_size=16),
    ),
    head=dict(type='ContrastHead', in_channels=2048),
    test_feat='after',
    matcher=dict(type='CosineMatcher'),
)
