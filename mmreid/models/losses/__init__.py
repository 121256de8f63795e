# Copyright (c) mmreid contributors. All rights reserved.
from .pair_statistics import pair_statistics
from .triplet_loss import TripletLoss

__all__ = ['TripletLoss', 'pair_statistics']
