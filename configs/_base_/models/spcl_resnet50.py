# SpCL (Ge et al., NeurIPS 2020) without a source: ResNet-50 with last stride 1, average pooling, a memory with a row
# for each image. The batch norms take the statistics of 16 images, the share of one of the authors' four GPUs.
model = dict(
    type='UnsupervisedReID',
    backbone=dict(
        type='ResNet',
        depth=50,
        strides=(1, 2, 2, 1),
        out_indices=(3,),
        norm_cfg=dict(type='mmreid.GhostBN2d', ghost_size=16),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    neck=dict(type='BNNeck', in_channels=2048, norm_cfg=dict(type='mmreid.GhostBN1d', ghost_size=16)),
    head=dict(
        type='ContrastHead',
        in_channels=2048,
        memory=dict(type='HybridMemory', temperature=0.05, momentum=0.2),
    ),
    matcher=dict(type='CosineMatcher'),
)
