# Copyright (c) mmreid contributors. All rights reserved.
"""Converts state dicts of the official ECN code (zhunzhong07/ECN) to those of :class:`DomainAdaptiveReID`, and back."""

from collections.abc import Mapping

import torch
from torch import Tensor

from .resnet_shape import resnet_shape

MEMORY = 'head.memory.features'
# Theirs and ours; the first match counts.
_PARTS = (
    ('base.', 'backbone.'),
    ('feat.', 'neck.embed.'),
    ('feat_bn.', 'neck.bn.'),
    ('classifier.', 'head.classifier.'),
)
_UNUSED = 'base.fc.'  # ImageNet's classifier, which they keep


def to_mmreid(state: Mapping[str, Tensor], memory: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Converts an official state dict.

    Args:
        state (Mapping[str, Tensor]): With official keys, which may start with ``module.``.
        memory (Mapping[str, Tensor], optional): The state dict of their memory, with ``em``. Defaults to None.

    Returns:
        dict[str, Tensor]: State of a ``DomainAdaptiveReID``.

    Raises:
        ValueError: If a key is unknown, or it is not a checkpoint of ECN.
    """
    state = {key.removeprefix('module.'): value for key, value in state.items()}
    if 'feat_bn.weight' not in state or 'base.conv1.weight' not in state:
        raise ValueError('this is not a checkpoint of the official ECN code: it has no base.conv1 or no feat_bn')
    converted = {_renamed(key, theirs=0): value for key, value in state.items() if not key.startswith(_UNUSED)}
    if memory is not None:
        em = {key.removeprefix('module.'): value for key, value in memory.items()}.get('em')
        if em is None or em.ndim != 2 or em.shape[1] != len(state['feat_bn.weight']):
            raise ValueError(
                f'the memory must be an entry em of shape (target images, {len(state["feat_bn.weight"])}), but is '
                f'{"missing" if em is None else tuple(em.shape)}'
            )
        converted[MEMORY] = em
    return converted


def to_official(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor] | None]:
    """Converts a state dict of a ``DomainAdaptiveReID`` for the official code.

    ImageNet's classifier, which the official network has but does not use, is filled with zeros.

    Args:
        state (Mapping[str, Tensor]): State of a ``DomainAdaptiveReID`` with a ResNet and an ``EmbeddingNeck``.

    Returns:
        tuple[dict, dict | None]: State of the network, and of the memory if there is one.

    Raises:
        ValueError: If it has keys that the official network lacks.
    """
    if 'neck.embed.bias' not in state or 'backbone.conv1.weight' not in state:
        raise ValueError('this is not a checkpoint of DomainAdaptiveReID with a ResNet and an EmbeddingNeck')
    memory = {'em': state[MEMORY].float()} if MEMORY in state else None
    converted = {_renamed(key, theirs=1): value for key, value in state.items() if key != MEMORY}
    width = state['neck.embed.weight'].shape[1]
    converted |= {f'{_UNUSED}weight': torch.zeros(1000, width), f'{_UNUSED}bias': torch.zeros(1000)}
    return converted, memory


def model_config(state: Mapping[str, Tensor]) -> dict:
    """Returns the config of the model of a converted state dict."""
    size, width = state['neck.embed.weight'].shape
    classes = len(state['head.classifier.weight']) if 'head.classifier.weight' in state else None
    slots = len(state[MEMORY]) if MEMORY in state else None
    return dict(
        type='DomainAdaptiveReID',
        backbone=dict(type='ResNet', depth=resnet_shape(state)['depth'], frozen_stages=2),
        neck=dict(type='EmbeddingNeck', in_channels=width, out_channels=size),
        head=dict(
            type='InvarianceHead',
            in_channels=size,
            num_classes=classes,
            memory=dict(type='ExemplarMemory', num_slots=slots) if slots else None,
        ),
        matcher=dict(type='EuclideanMatcher'),
    )


def _renamed(key: str, theirs: int) -> str:
    for part in _PARTS:
        if key.startswith(part[theirs]):
            return part[1 - theirs] + key.removeprefix(part[theirs])
    where = 'the official ECN network' if theirs == 0 else 'a DomainAdaptiveReID that the official network can hold'
    raise ValueError(f'the key {key} is not part of {where}')
