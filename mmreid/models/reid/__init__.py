# Copyright (c) mmreid contributors. All rights reserved.
from .base import BaseReID
from .image import ImageReID
from .pixels import PixelReID

__all__ = ['BaseReID', 'ImageReID', 'PixelReID']
