# Copyright (c) mmreid contributors. All rights reserved.
from .cross_modal_head import CrossModalHead
from .reid_head import ReIDHead

__all__ = ['CrossModalHead', 'ReIDHead']
