# Copyright (c) mmreid contributors. All rights reserved.
from .camera_style import LoadCamStyleImage
from .color_style import LoadColorStyleImage
from .flip import RandomFlip
from .formatting import PackReIDInputs
from .loading import CorruptImageError, LoadReIDImage
from .prepared import PreparedTransform
from .random_occlusion import RandomOcclusion
from .redrawn_erasing import RedrawnErasing
from .upright_crop import UprightCrop

__all__ = [
    'CorruptImageError',
    'LoadCamStyleImage',
    'LoadColorStyleImage',
    'LoadReIDImage',
    'PackReIDInputs',
    'PreparedTransform',
    'RandomFlip',
    'RandomOcclusion',
    'RedrawnErasing',
    'UprightCrop',
]
