# Copyright (c) mmreid contributors. All rights reserved.
from .batch_grid import draw_batch
from .correspondence import Correspondence, draw_correspondences, find_correspondences
from .rank_list import RankedImage, draw_rank_list
from .reid_visualizer import ReIDVisualizer
from .style_grid import draw_style_grid

__all__ = [
    'Correspondence',
    'RankedImage',
    'ReIDVisualizer',
    'draw_batch',
    'draw_correspondences',
    'draw_rank_list',
    'draw_style_grid',
    'find_correspondences',
]
