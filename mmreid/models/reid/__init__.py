# Copyright (c) mmreid contributors. All rights reserved.
from .base import BaseReID
from .cross_modal import CrossModalReID
from .domain_adaptive import DomainAdaptiveReID
from .image import ImageReID
from .pairwise import PairwiseReID
from .pixels import PixelReID
from .unsupervised import UnsupervisedReID
from .unsupervised_cross_modal import UnsupervisedCrossModalReID

__all__ = [
    'BaseReID',
    'CrossModalReID',
    'DomainAdaptiveReID',
    'ImageReID',
    'PairwiseReID',
    'PixelReID',
    'UnsupervisedCrossModalReID',
    'UnsupervisedReID',
]
