# Copyright (c) mmreid contributors. All rights reserved.
from .exemplar_memory import ExemplarMemory
from .mini_batch_memory import MiniBatchMemory
from .slot_similarity import SlotSimilarity

__all__ = ['ExemplarMemory', 'MiniBatchMemory', 'SlotSimilarity']
