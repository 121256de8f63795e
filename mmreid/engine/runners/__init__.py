# Copyright (c) mmreid contributors. All rights reserved.
from mmreid.engine.features.saved_features import evaluate_features, save_features
from mmreid.engine.search.arch_search_loop import ArchSearchLoop
from mmreid.engine.search.short_training_search_loop import ShortTrainingSearchLoop

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
    'ShortTrainingSearchLoop',
    'describe_stop',
    'evaluate_features',
    'save_features',
]
