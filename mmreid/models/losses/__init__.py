# Copyright (c) mmreid contributors. All rights reserved.
from .all_triplets_loss import AllTripletsLoss
from .c3mmd_loss import ClassMMDLoss, CorrelationConsistencyLoss
from .class_memory_loss import ClassMemoryLoss
from .cross_modal_triplet_loss import CrossModalTripletLoss
from .pair_statistics import pair_statistics
from .pairwise_matching_loss import PairwiseMatchingLoss
from .score_triplet_loss import ScoreTripletLoss
from .triplet_loss import TripletLoss

__all__ = [
    'AllTripletsLoss',
    'ClassMMDLoss',
    'ClassMemoryLoss',
    'CorrelationConsistencyLoss',
    'CrossModalTripletLoss',
    'PairwiseMatchingLoss',
    'ScoreTripletLoss',
    'TripletLoss',
    'pair_statistics',
]
