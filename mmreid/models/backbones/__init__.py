# Copyright (c) mmreid contributors. All rights reserved.
from .fastreid_resnet import FastReIDResNet
from .osnet import OSNet
from .resnet_ibn import IBN, ResNetIBN
from .resnet_nl import ResNetNL
from .unused_stages import drop_unused_stages
from .vision_transformer import VisionTransformer

__all__ = ['FastReIDResNet', 'IBN', 'OSNet', 'ResNetIBN', 'ResNetNL', 'VisionTransformer', 'drop_unused_stages']
