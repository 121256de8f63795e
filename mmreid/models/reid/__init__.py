# Copyright (c) mmreid contributors. All rights reserved.
from .base import BaseReID
from .image import ImageReID

__all__ = ['BaseReID', 'ImageReID']
