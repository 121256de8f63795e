# Copyright (c) mmreid contributors. All rights reserved.
from .flip import RandomFlip
from .formatting import PackReIDInputs
from .loading import CorruptImageError, LoadReIDImage

__all__ = ['CorruptImageError', 'LoadReIDImage', 'PackReIDInputs', 'RandomFlip']
