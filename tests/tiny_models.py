# Copyright (c) mmreid contributors. All rights reserved.
"""One tiny config of each kind of model, with a test pipeline whose parts all differ from the defaults."""

import copy
from pathlib import Path

import torch
from mmengine.config import Config
from torch import nn

from mmreid.models import BaseReID
from mmreid.models.reid.inference_contract import contract_of
from mmreid.registry import MODELS
from mmreid.structures.inference_contract import META_KEY

SIZE = (64, 32)
RESNET = dict(type='ResNet', depth=18, base_channels=4, out_indices=(3,))
PREPROCESSOR = dict(type='ReIDDataPreprocessor', mean=(120.5, 110, 100), std=(50, 60.25, 70), to_rgb=False)
PIPELINE = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=SIZE[::-1], backend='pillow', interpolation='bicubic'),
    dict(type='PackReIDInputs'),
]
MODELS_BY_KIND = dict(
    ImageReID=dict(
        backbone=RESNET,
        neck=dict(type='BNNeck', in_channels=32, pool=dict(type='GeneralizedMeanPooling')),
        head=dict(type='ReIDHead', in_channels=32, num_classes=5),
    ),
    PairwiseReID=dict(
        backbone=dict(RESNET, out_indices=(2,)),
        neck=dict(type='FeatureMapNeck', in_channels=16, out_channels=8),
        matcher=dict(type='QAConvMatcher', size=(4, 2)),
        head=dict(type='PairwiseHead'),
    ),
    CrossModalReID=dict(
        backbone=dict(RESNET, norm_cfg=dict(type='mmreid.BranchBN2d')),
        neck=dict(type='BNNeck', in_channels=32),
        head=dict(type='CrossModalHead', in_channels=32, num_classes=5),
        arch={'bn1': 'split', 'layer*': 'share'},
    ),
    DomainAdaptiveReID=dict(
        backbone=dict(RESNET, norm_cfg=dict(type='mmreid.BranchBN2d')),
        neck=dict(type='EmbeddingNeck', in_channels=32, out_channels=16),
        head=dict(type='InvarianceHead', in_channels=16, num_classes=5),
    ),
)


def tiny_model_config(kind: str, **changes) -> Config:
    """Gives the config of a model, and of the preparation of its images."""
    model = dict(copy.deepcopy(MODELS_BY_KIND[kind]), type=kind, data_preprocessor=PREPROCESSOR, **changes)
    loader = dict(dataset=dict(type='FolderReIDDataset', data_root='nowhere', pipeline=copy.deepcopy(PIPELINE)))
    return Config(dict(model=model, test_dataloader=loader))


def filled(model: BaseReID, seed: int = 0) -> BaseReID:
    """Gives every weight and statistic of a model a value of its own, as training does."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def trained(kind: str, path: Path, seed: int = 0, **changes) -> tuple[Config, BaseReID]:
    """Writes a checkpoint as training does; gives its config and its model."""
    cfg = tiny_model_config(kind, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = filled(MODELS.build(copy.deepcopy(cfg.model)), seed)
    torch.save(dict(meta={META_KEY: contract_of(cfg, model).to_json()}, state_dict=model.state_dict()), path)
    return cfg, model
