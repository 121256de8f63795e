# Copyright (c) mmreid contributors. All rights reserved.
from .adaptive_schedule_hook import AdaptiveScheduleHook
from .arch_freeze_hook import ArchFreezeHook
from .arch_log_hook import ArchLogHook
from .ema_hook import EMAHook
from .embedding_hook import EmbeddingHook
from .epoch_ema_hook import EpochEMAHook
from .epoch_seed_hook import EpochSeedHook
from .freeze_hook import FreezeHook
from .graph_sampling_hook import GraphSamplingHook
from .health_hook import ReIDHealthHook
from .memory_fill_hook import MemoryFillHook
from .memory_update_hook import MemoryUpdateHook
from .neighbor_precision_hook import NeighborPrecisionHook
from .neighbor_start_hook import NeighborStartHook
from .overwriting_ema_hook import OverwritingEMAHook
from .progress_bar_hook import ProgressBarHook
from .pseudo_label_hook import PseudoLabelHook
from .rank_list_hook import RankListHook
from .repeat_validation_hook import RepeatValidationHook
from .safe_checkpoint_hook import SafeCheckpointHook
from .step_values_hook import StepValuesHook
from .style_grid_hook import StyleGridHook
from .sync_norm_hook import SyncNormHook

__all__ = [
    'AdaptiveScheduleHook',
    'ArchFreezeHook',
    'ArchLogHook',
    'EMAHook',
    'EmbeddingHook',
    'EpochEMAHook',
    'EpochSeedHook',
    'FreezeHook',
    'GraphSamplingHook',
    'MemoryFillHook',
    'MemoryUpdateHook',
    'NeighborPrecisionHook',
    'NeighborStartHook',
    'OverwritingEMAHook',
    'ProgressBarHook',
    'PseudoLabelHook',
    'RankListHook',
    'ReIDHealthHook',
    'RepeatValidationHook',
    'SafeCheckpointHook',
    'StepValuesHook',
    'StyleGridHook',
    'SyncNormHook',
]
