# Copyright (c) mmreid contributors. All rights reserved.
from .base_memory import BaseMemory
from .cluster_memory import ClusterMemory
from .contrast_memory import ContrastMemory
from .exemplar_memory import ExemplarMemory
from .graph_positive_prediction import GraphPositivePrediction
from .hybrid_memory import HybridMemory
from .memory_aggregation import aggregate_memories, count_similar_pairs, match_clusters
from .memory_similarity import MemorySimilarity
from .mini_batch_memory import MiniBatchMemory
from .nearest_neighbors import NearestNeighbors
from .neighbors import LearnedNeighbors, Neighbors

__all__ = [
    'BaseMemory',
    'ClusterMemory',
    'ContrastMemory',
    'ExemplarMemory',
    'GraphPositivePrediction',
    'HybridMemory',
    'MemorySimilarity',
    'MiniBatchMemory',
    'NearestNeighbors',
    'LearnedNeighbors',
    'Neighbors',
    'aggregate_memories',
    'count_similar_pairs',
    'match_clusters',
]
