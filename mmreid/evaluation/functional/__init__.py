# Copyright (c) mmreid contributors. All rights reserved.
from .ranking import RankingResult, rank, scorable_queries

__all__ = ['RankingResult', 'rank', 'scorable_queries']
