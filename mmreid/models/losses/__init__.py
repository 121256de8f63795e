# Copyright (c) mmreid contributors. All rights reserved.
from .all_triplets_loss import AllTripletsLoss
from .c3mmd_loss import ClassMMDLoss, CorrelationConsistencyLoss
from .center_loss import CenterLoss
from .class_memory_loss import ClassMemoryLoss
from .cosine_pair_losses import CircleLoss, CosinePairLoss, PairwiseCosFaceLoss
from .cross_modal_triplet_loss import CrossModalTripletLoss
from .focal_loss import FocalLoss
from .pair_loss import DistanceLoss, PairLoss
from .pair_statistics import pair_statistics
from .pairwise_matching_loss import PairwiseMatchingLoss
from .score_triplet_loss import ScoreTripletLoss
from .smoothed_cross_entropy_loss import SmoothedCrossEntropyLoss
from .triplet_loss import SquaredDifferenceTripletLoss, TripletLoss, WeightedTripletLoss

__all__ = [
    'AllTripletsLoss',
    'CenterLoss',
    'CircleLoss',
    'ClassMMDLoss',
    'ClassMemoryLoss',
    'CorrelationConsistencyLoss',
    'CosinePairLoss',
    'CrossModalTripletLoss',
    'DistanceLoss',
    'FocalLoss',
    'PairLoss',
    'PairwiseCosFaceLoss',
    'PairwiseMatchingLoss',
    'ScoreTripletLoss',
    'SmoothedCrossEntropyLoss',
    'SquaredDifferenceTripletLoss',
    'TripletLoss',
    'WeightedTripletLoss',
    'pair_statistics',
]
