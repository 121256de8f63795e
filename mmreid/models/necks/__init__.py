# Copyright (c) mmreid contributors. All rights reserved.
from .bn_neck import BNNeck, NeckFeatures
from .embedding_neck import EmbeddingNeck
from .feature_map_neck import FeatureMapNeck
from .part_neck import PartNeck

__all__ = ['BNNeck', 'EmbeddingNeck', 'FeatureMapNeck', 'NeckFeatures', 'PartNeck']
