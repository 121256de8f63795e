# ECN around a Swin-T, trained with AdamW. The rates are our choice.
_base_ = ['../ecn/ecn_resnet50_1xb256-60e_msmt2market-256x128.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        arch='tiny',
        img_size=(256, 128),
        pad_small_map=True,  # the last maps are smaller than a window
        drop_path_rate=0.1,
        frozen_stages=0,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://swin_t.imagenet1k_v1'),
    ),
    neck=dict(in_channels=768),
    live_shortcut_norms=False,
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0),
)
