# Copyright (c) mmreid contributors. All rights reserved.
from .base_neck import BaseNeck
from .bn_neck import BNNeck, NeckFeatures
from .embedding_neck import EmbeddingNeck
from .feature_map_neck import FeatureMapNeck
from .part_neck import PartNeck

__all__ = ['BNNeck', 'BaseNeck', 'EmbeddingNeck', 'FeatureMapNeck', 'NeckFeatures', 'PartNeck']
