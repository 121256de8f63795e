# The strong baseline around a ConvNeXt-T, trained with AdamW. Its last stage keeps stride 2.
_base_ = ['./bot_swin-tiny_1xb64-120e_market1501-256x128.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvNeXt',
        arch='tiny',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://convnext_tiny.imagenet1k_v1'),
    ),
)
