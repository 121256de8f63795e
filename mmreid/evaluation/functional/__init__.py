# Copyright (c) mmreid contributors. All rights reserved.
from .cached_scores import CachedScores
from .nearest import Nearest, nearest_in_gallery, nearest_of_all
from .pair_scores import FeaturePairs, MatrixPairs, PairScores
from .prefiltered_scores import PrefilteredScores
from .protocols import CUHK03, LLCM, MARKET1501, REGDB, SYSU_MM01, Protocol, scorable_queries
from .query_expansion import expand_queries
from .ranking import rank, rank_distances, rank_features, rank_galleries
from .ranking_result import RankingResult
from .reranking import rerank
from .roc import Roc
from .score_blocks import FeatureScores, MatrixScores, ScoreBlocks, check_finite
from .tlift import TLiftScores, tlift

__all__ = [
    'CUHK03',
    'LLCM',
    'MARKET1501',
    'REGDB',
    'SYSU_MM01',
    'FeaturePairs',
    'FeatureScores',
    'CachedScores',
    'MatrixPairs',
    'MatrixScores',
    'Nearest',
    'PairScores',
    'PrefilteredScores',
    'Protocol',
    'RankingResult',
    'Roc',
    'ScoreBlocks',
    'TLiftScores',
    'check_finite',
    'expand_queries',
    'nearest_in_gallery',
    'nearest_of_all',
    'rank',
    'rank_distances',
    'rank_features',
    'rank_galleries',
    'rerank',
    'scorable_queries',
    'tlift',
]
