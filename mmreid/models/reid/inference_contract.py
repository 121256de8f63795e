# Copyright (c) mmreid contributors. All rights reserved.
"""Describes how a model is to be used, from its config and the model itself."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmreid.models.utils.data_preprocessor import ReIDDataPreprocessor
from mmreid.registry import MODELS
from mmreid.structures import MODALITIES, InferenceContract, Preprocessing

from .base import BaseReID
from .cross_modal import CrossModalReID
from .domain_adaptive import DomainAdaptiveReID
from .pairwise import PairwiseReID

# What the contract states elsewhere, or what only training needs.
_LEFT_OUT = ('data_preprocessor', 'matcher', 'flip_test', 'init_cfg', 'arch')


def contract_of(cfg: Mapping, model: BaseReID, arch: Mapping[str, str] | None = None) -> InferenceContract:
    """Describes how a model is to be used.

    Args:
        cfg (Mapping): The config of the run, with ``model`` and ``test_dataloader`` (or ``val_dataloader``).
        model (BaseReID): The model built from it, unwrapped.
        arch (Mapping[str, str], optional): What a search has chosen; its mutator is then left out. Defaults to None.

    Returns:
        InferenceContract: The contract.

    Raises:
        ValueError: If the test pipeline does more than load, resize and pack, or the config is more than plain data.
    """
    config = {name: value for name, value in cfg['model'].items() if name not in _LEFT_OUT}
    if 'head' in config:
        config['head'] = dict(type='NoHead')
    if arch is not None:
        config.pop('mutator', None)
    choices = arch or (model.arch if isinstance(model, CrossModalReID) else {})
    if choices:
        config['arch'] = dict(choices)
    is_map = isinstance(model, PairwiseReID)
    norm_is_one = isinstance(model, DomainAdaptiveReID) and model.normalize_feat and not model.flip_test
    return InferenceContract(
        preprocessing=_preprocessing(_test_pipeline(cfg), model.data_preprocessor),
        embedding='map' if is_map else 'vector',
        normalized=is_map or norm_is_one,
        flip_test=model.flip_test,
        modalities=modalities_of(model),
        matcher=_plain(cfg['model'].get('matcher') or dict(type='CosineMatcher'), 'model.matcher'),
        model=_plain(config, 'model'),
    )


def modalities_of(model: BaseReID) -> tuple[str, ...]:
    """Lists the modalities that ``modality=`` may name for a model; none if the model takes all images alike."""
    return MODALITIES if isinstance(model, CrossModalReID) else ()


def _test_pipeline(cfg: Mapping) -> list[Mapping]:
    for section in ('test_dataloader', 'val_dataloader'):
        loader = cfg.get(section) or {}
        dataset = (loader[0] if isinstance(loader, (list, tuple)) else loader).get('dataset') or {}
        while not dataset.get('pipeline') and dataset.get('dataset'):
            dataset = dataset['dataset']
        if dataset.get('pipeline'):
            return dataset['pipeline']
    raise ValueError('the config has no test pipeline, so it does not say how images are prepared')


def _preprocessing(pipeline: list[Mapping], preprocessor: ReIDDataPreprocessor) -> Preprocessing:
    steps = [dict(step) for step in pipeline]
    kinds = [_bare(step['type'], 'a transform') for step in steps]
    if len(steps) != 3 or kinds[1:] != ['Resize', 'PackReIDInputs'] or kinds[0] != 'LoadReIDImage':
        raise ValueError(
            f'the test pipeline is {", ".join(kinds)}, not LoadReIDImage, Resize, PackReIDInputs can be described'
        )
    if not isinstance(preprocessor, ReIDDataPreprocessor) or preprocessor.pad_size_divisor > 1:
        raise ValueError(f'data_preprocessor {type(preprocessor).__name__} pads, or is not a ReIDDataPreprocessor')
    resize = steps[1]
    scale = resize.get('scale')
    if resize.get('keep_ratio') or scale is None:
        raise ValueError('Resize of the test pipeline must have a scale and keep_ratio=False')
    width, height = (scale, scale) if isinstance(scale, int) else scale
    buffers = dict(preprocessor.named_buffers())
    return Preprocessing(
        size=(height, width),
        interpolation=resize.get('interpolation', 'bilinear'),
        resize_backend=resize.get('backend', 'cv2'),
        channel_order='rgb' if preprocessor.to_rgb else 'bgr',
        mean=_decimals(buffers.get('mean'), 0.0),
        std=_decimals(buffers.get('std'), 1.0),
    )


def _decimals(values: Any, default: float) -> tuple[float, ...]:
    """Returns the numbers of a float32 tensor as they were written: 123.675, not 123.67500305."""
    if values is None:
        return (default,) * 3
    return tuple(float(str(np.float32(value))) for value in values.flatten().tolist())


def _plain(value: Any, place: str) -> Any:
    """Copies a config as JSON has it: bare names as types, no initial weights."""
    if isinstance(value, Mapping):
        items = {key: item for key, item in value.items() if key != 'init_cfg'}
        return {
            key: _bare(item, f'{place}.type') if key == 'type' else _plain(item, f'{place}.{key}')
            for key, item in items.items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item, place) for item in value]
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ValueError(f'{place}={value!r:.60} is not plain data')


def _bare(name: Any, place: str) -> str:
    """Takes the scope off a registered name, where that leaves no doubt which class is meant."""
    scope, _, bare = (name if isinstance(name, str) else name.__name__).rpartition('.')
    if scope not in ('', 'mmreid', 'mmpretrain') or (scope == 'mmpretrain' and bare in MODELS.module_dict):
        raise ValueError(f'{place}={name!r:.60} is neither of mmreid nor a backbone of MMPretrain')
    return bare
