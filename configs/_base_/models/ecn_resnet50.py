# ECN (Zhong et al., CVPR 2019): ResNet-50 with last stride 2 and frozen first stages, an embedding of 4096, an exemplar
# memory of the target images. Testing compares the pooled feature.
model = dict(
    type='DomainAdaptiveReID',
    backbone=dict(
        type='ResNet',
        depth=50,
        out_indices=(3,),
        frozen_stages=2,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    neck=dict(type='EmbeddingNeck', in_channels=2048, out_channels=4096),
    head=dict(
        type='InvarianceHead',
        in_channels=4096,
        memory=dict(type='ExemplarMemory'),
        # Neighbors are the 6 nearest slots. A config that sets others need not delete what stands here.
        invariance=dict(exemplar=True, camera=True, neighbor_epoch=5),
        temperature=0.05,
        target_weight=0.3,
    ),
    matcher=dict(type='EuclideanMatcher'),
    live_shortcut_norms=True,  # as in the official code, whose freezing misses them
)
