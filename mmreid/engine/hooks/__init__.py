# Copyright (c) mmreid contributors. All rights reserved.
from .epoch_seed_hook import EpochSeedHook
from .health_hook import ReIDHealthHook
from .rank_list_hook import RankListHook
from .safe_checkpoint_hook import SafeCheckpointHook
from .sync_norm_hook import SyncNormHook

__all__ = ['EpochSeedHook', 'RankListHook', 'ReIDHealthHook', 'SafeCheckpointHook', 'SyncNormHook']
