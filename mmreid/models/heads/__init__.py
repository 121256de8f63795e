# Copyright (c) mmreid contributors. All rights reserved.
from .base_head import BaseHead
from .contrast_head import ContrastHead
from .cross_modal_head import CrossModalHead
from .invariance_head import InvarianceHead
from .memory_head import MemoryHead
from .no_head import NoHead
from .pairwise_head import PairwiseHead
from .part_head import PartHead
from .reid_head import ReIDHead
from .target_invariance import TargetInvariance

__all__ = [
    'BaseHead',
    'ContrastHead',
    'CrossModalHead',
    'InvarianceHead',
    'MemoryHead',
    'NoHead',
    'PairwiseHead',
    'PartHead',
    'ReIDHead',
    'TargetInvariance',
]
