# Copyright (c) mmreid contributors. All rights reserved.

from .exemplar_memory import ExemplarMemory
from .graph_positive_prediction import GraphPositivePrediction
from .memory_similarity import MemorySimilarity
from .mini_batch_memory import MiniBatchMemory
from .nearest_neighbors import NearestNeighbors

__all__ = [
    'ExemplarMemory',
    'GraphPositivePrediction',
    'MiniBatchMemory',
    'MemorySimilarity',
    'NearestNeighbors',
]
