# Copyright (c) mmreid contributors. All rights reserved.
from .reid_head import ReIDHead

__all__ = ['ReIDHead']
