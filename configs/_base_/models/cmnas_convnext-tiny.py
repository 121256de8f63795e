# CM-NAS around a ConvNeXt-T: 23 layer norms.
_base_ = ['./cmnas_resnet50.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvNeXt',
        arch='tiny',
        out_indices=(3,),
        gap_before_final_norm=False,
        drop_path_rate=0.1,
        norm_cfg=dict(type='mmreid.BranchLN2d', eps=1e-6),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://convnext_tiny.imagenet1k_v1'),
    ),
    neck=dict(in_channels=768),
    head=dict(in_channels=768),
)
