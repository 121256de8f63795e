# Copyright (c) mmreid contributors. All rights reserved.
from .camera_style import LoadCamStyleImage
from .colour_style import LoadColourStyleImage
from .flip import RandomFlip
from .formatting import PackReIDInputs
from .loading import CorruptImageError, LoadReIDImage
from .random_occlusion import RandomOcclusion

__all__ = [
    'CorruptImageError',
    'LoadCamStyleImage',
    'LoadColourStyleImage',
    'LoadReIDImage',
    'PackReIDInputs',
    'RandomFlip',
    'RandomOcclusion',
]
