# The strong baseline around a Swin-T, trained with AdamW.
_base_ = [
    '../_base_/models/bot_resnet50.py',
    '../_base_/datasets/market1501.py',
    '../_base_/schedules/adamw_120e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        arch='tiny',
        img_size=(256, 128),
        pad_small_map=True,  # the last maps are smaller than a window
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://swin_t.imagenet1k_v1'),
    ),
    neck=dict(in_channels=768),
    head=dict(in_channels=768),
)
