# Copyright (c) mmreid contributors. All rights reserved.
from .base_memory import BaseMemory
from .exemplar_memory import ExemplarMemory
from .graph_positive_prediction import GraphPositivePrediction
from .memory_aggregation import aggregate_memories, count_similar_pairs, match_clusters
from .memory_similarity import MemorySimilarity
from .mini_batch_memory import MiniBatchMemory
from .nearest_neighbors import NearestNeighbors
from .neighbors import LearnedNeighbors, Neighbors

__all__ = [
    'BaseMemory',
    'ExemplarMemory',
    'GraphPositivePrediction',
    'MemorySimilarity',
    'MiniBatchMemory',
    'NearestNeighbors',
    'LearnedNeighbors',
    'Neighbors',
    'aggregate_memories',
    'count_similar_pairs',
    'match_clusters',
]
