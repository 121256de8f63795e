# Copyright (c) mmreid contributors. All rights reserved.
from .formatting import PackReIDInputs
from .loading import CorruptImageError, LoadReIDImage

__all__ = ['CorruptImageError', 'LoadReIDImage', 'PackReIDInputs']
