# Copyright (c) mmreid contributors. All rights reserved.
from .base import BaseReID
from .cross_modal import CrossModalReID
from .image import ImageReID
from .pixels import PixelReID

__all__ = ['BaseReID', 'CrossModalReID', 'ImageReID', 'PixelReID']
