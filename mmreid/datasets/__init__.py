# Copyright (c) mmreid contributors. All rights reserved.
from .base_reid_dataset import BaseReIDDataset
from .collate import reid_collate
from .csv_dataset import CsvReIDDataset
from .folder_dataset import FolderReIDDataset
from .market1501 import Market1501
from .samplers import IdentityBatchSampler, KInstanceDrawer, RandomClassChooser
from .transforms import CorruptImageError, LoadReIDImage, PackReIDInputs

__all__ = [
    'BaseReIDDataset',
    'CorruptImageError',
    'CsvReIDDataset',
    'FolderReIDDataset',
    'IdentityBatchSampler',
    'KInstanceDrawer',
    'LoadReIDImage',
    'Market1501',
    'PackReIDInputs',
    'RandomClassChooser',
    'reid_collate',
]
