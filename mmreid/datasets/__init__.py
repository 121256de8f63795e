# Copyright (c) mmreid contributors. All rights reserved.
from .base_reid_dataset import BaseReIDDataset
from .clonedperson import ClonedPerson
from .collate import reid_collate
from .concat_dataset import ConcatReIDDataset
from .contract import ReIDData, inner_datasets
from .csv_dataset import CsvReIDDataset
from .cuhk03_np import CUHK03NP
from .dukemtmc import DukeMTMC
from .folder_dataset import FolderReIDDataset
from .image_split import image_split
from .llcm import LLCM
from .market1501 import Market1501
from .msmt17 import MSMT17
from .randperson import RandPerson
from .regdb import RegDB
from .samplers import (
    CMNASReferenceSampler,
    CrossModalityInstanceSampler,
    DomainBalancedIdentitySampler,
    GraphIdentitySampler,
    IdentityBatchSampler,
    KInstanceSampler,
    MultiDomainBatchSampler,
    QAConvReferenceSampler,
    RandomIdentitySampler,
    RandomImageBatchSampler,
)
from .source_target import SourceTargetDataset
from .sysu_mm01 import SYSUMM01
from .transforms import CorruptImageError, LoadCamStyleImage, LoadColorStyleImage, LoadReIDImage, PackReIDInputs
from .vtest import VTest

__all__ = [
    'BaseReIDDataset',
    'ClonedPerson',
    'CMNASReferenceSampler',
    'ConcatReIDDataset',
    'CorruptImageError',
    'CrossModalityInstanceSampler',
    'CsvReIDDataset',
    'CUHK03NP',
    'DomainBalancedIdentitySampler',
    'DukeMTMC',
    'FolderReIDDataset',
    'GraphIdentitySampler',
    'IdentityBatchSampler',
    'KInstanceSampler',
    'LLCM',
    'LoadCamStyleImage',
    'LoadColorStyleImage',
    'LoadReIDImage',
    'Market1501',
    'MSMT17',
    'MultiDomainBatchSampler',
    'PackReIDInputs',
    'QAConvReferenceSampler',
    'RandomIdentitySampler',
    'RandomImageBatchSampler',
    'RandPerson',
    'RegDB',
    'ReIDData',
    'SourceTargetDataset',
    'SYSUMM01',
    'VTest',
    'image_split',
    'inner_datasets',
    'reid_collate',
]
