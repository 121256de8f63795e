# Copyright (c) mmreid contributors. All rights reserved.
from .rank_list import RankedImage, draw_rank_list

__all__ = ['RankedImage', 'draw_rank_list']
