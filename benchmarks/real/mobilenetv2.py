# MobileNetV2 with ImageNet weights, not trained on people; imagenet.pth is what mobilenetv2_to_mmreid.py wrote.
_base_ = ['./osnet_x0_25.py']

model = dict(
    backbone=dict(_delete_=True, type='mmpretrain.MobileNetV2', out_indices=(7,)),
    neck=dict(_delete_=True, type='BNNeck', in_channels=1280),
    head=dict(in_channels=1280),
    test_feat='before',
)
