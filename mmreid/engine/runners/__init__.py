# Copyright (c) mmreid contributors. All rights reserved.
from mmreid.engine.features.saved_features import evaluate_features, save_features
from mmreid.engine.search.arch_search_loop import ArchSearchLoop

from .camstyle_runner import CamStyleRunner
from .evaluation_loops import ReIDTestLoop, ReIDValLoop
from .reid_runner import ReIDRunner
from .stopped_run import describe_stop

__all__ = [
    'ArchSearchLoop',
    'CamStyleRunner',
    'ReIDRunner',
    'ReIDTestLoop',
    'ReIDValLoop',
    'describe_stop',
    'evaluate_features',
    'save_features',
]
