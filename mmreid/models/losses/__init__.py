# Copyright (c) mmreid contributors. All rights reserved.
from .c3mmd_loss import ClassMMDLoss, CorrelationConsistencyLoss
from .cross_modal_triplet_loss import CrossModalTripletLoss
from .pair_statistics import pair_statistics
from .triplet_loss import TripletLoss

__all__ = [
    'ClassMMDLoss',
    'CorrelationConsistencyLoss',
    'CrossModalTripletLoss',
    'TripletLoss',
    'pair_statistics',
]
