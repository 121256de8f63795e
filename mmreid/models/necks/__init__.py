# Copyright (c) mmreid contributors. All rights reserved.
from .bn_neck import BNNeck, NeckFeatures

__all__ = ['BNNeck', 'NeckFeatures']
