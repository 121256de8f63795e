# SBS, "stronger baseline" of fast-reid (He et al., arXiv 2006.02631): non-local blocks, generalized-mean pooling,
# circle softmax and a soft-margin triplet loss, both after the batch norm.
_base_ = ['./bot_resnet50.py']

model = dict(
    # A single channel inside, as in fast-reid. Its first pooling has no padding today; see FastReIDResNet.
    backbone=dict(type='ResNetNL', non_local_cfg=dict(reduction=2048)),
    neck=dict(pool=dict(_delete_=True, type='GeneralizedMeanPooling')),
    head=dict(
        classifier=dict(type='CircleClassifier', scale=64, margin=0.35),
        loss_cls=dict(_delete_=True, type='SmoothedCrossEntropyLoss', label_smooth_val=0.1, spread='others'),
        loss_metric=dict(margin=None),
        metric_feat='after',
    ),
)
