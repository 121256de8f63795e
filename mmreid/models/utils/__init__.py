# Copyright (c) mmreid contributors. All rights reserved.
from .data_preprocessor import ReIDDataPreprocessor
from .denormalize import denormalize
from .distance import euclidean_distance, squared_euclidean_distance
from .gather import gather_with_grad

__all__ = [
    'ReIDDataPreprocessor',
    'denormalize',
    'euclidean_distance',
    'gather_with_grad',
    'squared_euclidean_distance',
]
