# Copyright (c) mmreid contributors. All rights reserved.
from .exemplar_memory import ExemplarMemory
from .graph_positive_prediction import GraphPositivePrediction
from .mini_batch_memory import MiniBatchMemory
from .nearest_slots import NearestSlots
from .neighbour_precision import precision_at_equal_recall, rate_learned, rate_nearest
from .slot_similarity import SlotSimilarity

__all__ = [
    'ExemplarMemory',
    'GraphPositivePrediction',
    'MiniBatchMemory',
    'NearestSlots',
    'SlotSimilarity',
    'precision_at_equal_recall',
    'rate_learned',
    'rate_nearest',
]
