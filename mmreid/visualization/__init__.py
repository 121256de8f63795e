# Copyright (c) mmreid contributors. All rights reserved.
from .batch_grid import denormalise, draw_batch
from .rank_list import RankedImage, draw_rank_list

__all__ = ['RankedImage', 'denormalise', 'draw_batch', 'draw_rank_list']
