# CM-NAS around a Swin-T: 29 layer norms. Its norms are set in four places.
_base_ = ['./cmnas_resnet50.py']

norm_cfg = dict(type='mmreid.BranchLN')
model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        arch='tiny',
        img_size=(256, 128),
        pad_small_map=True,  # the last maps are smaller than a window
        drop_path_rate=0.1,
        norm_cfg=norm_cfg,
        patch_cfg=dict(norm_cfg=norm_cfg),
        stage_cfgs=dict(block_cfgs=dict(norm_cfg=norm_cfg), downsample_cfg=dict(norm_cfg=norm_cfg)),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://swin_t.imagenet1k_v1'),
    ),
    neck=dict(in_channels=768),
    head=dict(in_channels=768),
)
