# Copyright (c) mmreid contributors. All rights reserved.
from .dump_results import DumpResults
from .feature_metric import FeatureMetric
from .llcm_metric import LLCMMetric
from .regdb_metric import RegDBMetric
from .reid_metric import ReIDMetric
from .sysu_metric import SYSUMetric

__all__ = ['DumpResults', 'FeatureMetric', 'LLCMMetric', 'RegDBMetric', 'ReIDMetric', 'SYSUMetric']
