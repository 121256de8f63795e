# Copyright (c) mmreid contributors. All rights reserved.
from .camera_style import LoadCamStyleImage
from .channel_augmentation import AdaptiveGray, ChannelExchange
from .color_style import LoadColorStyleImage
from .flip import RandomFlip
from .formatting import PackReIDInputs
from .loading import CorruptImageError, LoadReIDImage
from .modality_views import ModalityViews
from .prepared import PreparedTransform
from .random_occlusion import RandomOcclusion
from .redrawn_erasing import RedrawnErasing
from .upright_crop import UprightCrop

__all__ = [
    'AdaptiveGray',
    'ChannelExchange',
    'CorruptImageError',
    'LoadCamStyleImage',
    'LoadColorStyleImage',
    'LoadReIDImage',
    'ModalityViews',
    'PackReIDInputs',
    'PreparedTransform',
    'RandomFlip',
    'RandomOcclusion',
    'RedrawnErasing',
    'UprightCrop',
]
