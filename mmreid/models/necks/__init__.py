# Copyright (c) mmreid contributors. All rights reserved.
from .bn_neck import BNNeck, NeckFeatures
from .embedding_neck import EmbeddingNeck
from .map_neck import MapNeck
from .part_neck import PartNeck

__all__ = ['BNNeck', 'EmbeddingNeck', 'MapNeck', 'NeckFeatures', 'PartNeck']
