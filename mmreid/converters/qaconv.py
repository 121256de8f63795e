# Copyright (c) mmreid contributors. All rights reserved.
"""Converts state dicts of the official QAConv code (ShengcaiLiao/QAConv) to :class:`PairwiseReID`, and back."""

import re
from collections.abc import Mapping
from math import isqrt

import torch
from torch import Tensor

from mmreid.registry import MODELS

from .resnet_shape import resnet_shape

State = dict[str, Tensor]

# Theirs, ours.
_PREFIXES = (('base.', 'backbone.'), ('neck_conv.', 'neck.conv.'))
_MEMORY = ('class_memory', 'valid_class')
_STAGE = re.compile(r'backbone\.layer(\d)\.(\d+)\.')


def to_mmreid(model: Mapping[str, Tensor], criterion: Mapping[str, Tensor]) -> tuple[State, State]:
    """Converts the two official state dicts.

    A class memory is left out, as only training uses it and refills it within an epoch.

    Args:
        model (Mapping[str, Tensor]): The entry ``model`` of an official checkpoint.
        criterion (Mapping[str, Tensor]): The entry ``criterion``, which has the matcher.

    Returns:
        tuple[State, State]: State of a ``PairwiseReID``; and, under our names, the layers after the feature map, which
        official checkpoints hold but nothing uses.

    Raises:
        ValueError: If a key is not part of the official QAConv model (version 2).
    """
    converted: State = {}
    for key, value in model.items():
        converted[_renamed(key.removeprefix('module.'))] = value
    if 'neck.conv.weight' not in converted or 'backbone.conv1.weight' not in converted:
        raise ValueError('this is not a checkpoint of the official QAConv code: it has no base.conv1 or no neck_conv')
    last = _last_stage(converted)
    unused = {key: converted.pop(key) for key in list(converted) if _is_behind(key, last)}
    for key, value in criterion.items():
        key = key.removeprefix('module.')
        if key.startswith('matcher.'):
            converted[key] = value
        elif key not in _MEMORY:
            raise ValueError(f'the key {key} is not part of the criterion of QAConv 2; older criteria do not fit')
    return converted, unused


def to_official(state: Mapping[str, Tensor], unused: Mapping[str, Tensor] | None = None) -> tuple[State, State]:
    """Converts a state dict of a ``PairwiseReID`` for the official code.

    Args:
        state (Mapping[str, Tensor]): State of a ``PairwiseReID`` with a ResNet (IBN or not), ``FeatureMapNeck`` and
            ``QAConvMatcher``.
        unused (Mapping[str, Tensor], optional): The layers after the feature map, as :func:`to_mmreid` returned them.
            Defaults to zeros, as nothing uses them.

    Returns:
        tuple[State, State]: The entries ``model`` and ``criterion``.

    Raises:
        ValueError: If it has keys that the official model lacks.
    """
    model: State = {}
    criterion: State = {}
    for key, value in state.items():
        if key.startswith('matcher.'):
            criterion[key] = value
        elif not key.startswith('head.'):
            model[_renamed(key, ours=True)] = value
    if 'neck_conv.weight' not in model or 'matcher.fc.weight' not in criterion:
        raise ValueError('the checkpoint has no neck.conv or no matcher.fc, so it is not one of PairwiseReID')
    for key, value in (unused or _empty_layers(state)).items():
        model[_renamed(key, ours=True)] = value
    return model, criterion


def model_config(state: Mapping[str, Tensor], size: tuple[int, int] | None = None) -> dict:
    """Returns the config of the model of a converted state dict.

    Args:
        state (Mapping[str, Tensor]): State of a ``PairwiseReID``.
        size (tuple[int, int], optional): Height and width of the maps. Defaults to None: three times as high as wide.

    Raises:
        ValueError: If it is not a ResNet of a known depth, or the size does not fit the matcher.
    """
    locations = state['matcher.fc.weight'].shape[1]
    size = tuple(size or (3 * isqrt(locations // 3), isqrt(locations // 3)))
    if size[0] * size[1] != locations:
        raise ValueError(
            f'the matcher has weights for {locations} locations, which are not {size[0]}x{size[1]}; give height and '
            'width of the maps with --size, those of the images divided by 16'
        )
    channels, in_channels = state['neck.conv.weight'].shape[:2]
    return dict(
        type='PairwiseReID',
        data_preprocessor=dict(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
        backbone=_backbone_config(state),
        backbone_norm_eval=True,
        neck=dict(type='FeatureMapNeck', in_channels=in_channels, out_channels=channels),
        matcher=dict(type='QAConvMatcher', size=size),
        head=dict(type='PairwiseHead'),
    )


def _backbone_config(state: Mapping[str, Tensor]) -> dict:
    last = _last_stage(state)
    return resnet_shape(state, last) | dict(out_indices=(last - 1,))


def _last_stage(state: Mapping[str, Tensor]) -> int:
    """Returns the stage whose output the neck takes, from 1: the one whose last convolution has its channels."""
    channels = state['neck.conv.weight'].shape[1]
    for stage in range(1, 5):
        outputs = [state.get(f'backbone.layer{stage}.0.{conv}.weight') for conv in ('conv3', 'conv2')]
        output = next((weight for weight in outputs if weight is not None), None)
        if output is not None and len(output) == channels:
            return stage
    raise ValueError(f'no stage of the backbone has the {channels} channels that the neck takes')


def _is_behind(key: str, last: int) -> bool:
    match = _STAGE.match(key)
    return key.startswith('backbone.fc.') or (match is not None and int(match[1]) > last)


def _empty_layers(state: Mapping[str, Tensor]) -> State:
    """Returns zeros in the shapes of the layers after the feature map."""
    config = _backbone_config(state)
    last = config.pop('out_indices')[-1] + 1
    whole = MODELS.build(config)
    layers = {f'backbone.{key}': torch.zeros_like(value) for key, value in whole.state_dict().items()}
    layers['backbone.fc.weight'] = torch.zeros(1000, whole.feat_dim)
    layers['backbone.fc.bias'] = torch.zeros(1000)
    return {key: value for key, value in layers.items() if _is_behind(key, last)}


def _renamed(key: str, ours: bool = False) -> str:
    for official, own in _PREFIXES:
        old, new = (own, official) if ours else (official, own)
        if key.startswith(old):
            return new + key.removeprefix(old)
    raise ValueError(f'the key {key} is not part of the QAConv 2 model, which is ResNet, neck_conv and matcher')
