# Copyright (c) mmreid contributors. All rights reserved.
from .resnet_ibn import IBN, ResNetIBN
from .unused_stages import drop_unused_stages

__all__ = ['IBN', 'ResNetIBN', 'drop_unused_stages']
