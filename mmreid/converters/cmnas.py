# Copyright (c) mmreid contributors. All rights reserved.
"""Converts state dicts of the official CM-NAS code (JDAI-CV/CM-NAS) to those of :class:`CrossModalReID`, and back."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from .resnet_shape import resnet_shape

# Ours to theirs; each official norm has all three, whichever are used.
BRANCHES = dict(visible='visible_bn', infrared='thermal_bn', share='sharable_bn')
USED = dict(share=('share',), split=('visible', 'infrared'))
COUNTER = 'num_batches_tracked'
_THEIRS = re.compile(rf'backbone\.(.+)\.({"|".join(BRANCHES.values())})\.(\w+)')
_OURS = re.compile(rf'backbone\.(.+)\.({"|".join(BRANCHES)})\.(\w+)')
# Layers with other names: theirs and ours.
_RENAMED = (
    ('.downsample.conv.', '.downsample.0.'),
    ('.downsample.bn.', '.downsample.1.'),
    ('bnneck.', 'neck.bn.'),
    ('classifier.', 'head.classifier.'),
)


def official_norms(state: Mapping[str, Tensor]) -> list[str]:
    """Lists the norms of an official state dict by our names."""
    found = [_THEIRS.fullmatch(key.removeprefix('module.')) for key in state]
    return list(dict.fromkeys(_renamed(f'.{match[1]}.', ours=True).strip('.') for match in found if match))


def infer_arch(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Infers from the batch counters of an official state dict which norms were trained.

    Args:
        state (Mapping[str, Tensor]): With official keys.

    Returns:
        dict[str, str]: ``'share'`` or ``'split'`` by name; without norms whose counters are 0.

    Raises:
        ValueError: If no architecture explains the counters of a norm.
    """
    counted: dict[str, set[str]] = {name: set() for name in official_norms(state)}
    for key, value in state.items():
        match = _THEIRS.fullmatch(key.removeprefix('module.'))
        if match and match[3] == COUNTER and value > 0:
            counted[_renamed(f'.{match[1]}.', ours=True).strip('.')].add(match[2])
    arch = {}
    for name, used in counted.items():
        fitting = [state for state in USED if used == {BRANCHES[branch] for branch in USED[state]}]
        if used and not fitting:
            raise ValueError(
                f'the norm {name} was trained with {" and ".join(sorted(used))}, which is neither share nor split; '
                'this is not a CM-NAS checkpoint of a fixed architecture'
            )
        if fitting:
            arch[name] = fitting[0]
    return arch


def to_mmreid(state: Mapping[str, Tensor], arch: Mapping[str, str]) -> dict[str, Tensor]:
    """Converts an official state dict, without the norms that its architecture does not use.

    Args:
        state (Mapping[str, Tensor]): With official keys, which may start with ``module.``.
        arch (Mapping[str, str]): ``'share'`` or ``'split'`` of each norm, by our name.

    Returns:
        dict[str, Tensor]: State of a ``CrossModalReID``.

    Raises:
        ValueError: If it has no official norms, the architecture does not fit, or a key is unknown.
    """
    names = official_norms(state)
    if not names:
        raise ValueError('this is not a checkpoint of the official CM-NAS code: it has no norm with thermal_bn')
    unlike = sorted(set(names) ^ set(arch))
    if unlike:
        raise ValueError(f'the architecture and the checkpoint differ in the norms {", ".join(unlike[:8])}')
    theirs = {official: branch for branch, official in BRANCHES.items()}
    converted = {}
    for key, value in state.items():
        key = key.removeprefix('module.')
        match = _THEIRS.fullmatch(key)
        if match is None and not key.startswith(('backbone.', 'bnneck.', 'classifier.')):
            raise ValueError(f'the key {key} is not part of the official CM-NAS model')
        ours = _renamed(key, ours=True)
        if match:
            branch = theirs[match[2]]
            name = _renamed(f'.{match[1]}.', ours=True).strip('.')
            if branch not in USED[arch[name]]:
                continue
            ours = f'backbone.{name}.{branch}.{match[3]}'
        converted[ours] = value.long() if ours.endswith(COUNTER) else value  # their EMA averages counters too
    return converted


def to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Converts a state dict of a ``CrossModalReID`` for the official code.

    Branches that the official code has but does not use are filled with the shared norm, or the visible one.

    Args:
        state (Mapping[str, Tensor]): State of a ``CrossModalReID`` with a ResNet, a ``BNNeck`` and a classifier.

    Returns:
        dict[str, Tensor]: With official keys.

    Raises:
        ValueError: If it has no branch norms, or searched ones, or anything the official model lacks.
    """
    norms: dict[str, dict[str, dict[str, Tensor]]] = {}
    converted = {}
    for key, value in state.items():
        match = _OURS.fullmatch(key)
        if match:
            norms.setdefault(match[1], {}).setdefault(match[2], {})[match[3]] = value
        elif key.startswith(('backbone.', 'neck.bn.', 'head.classifier.')):
            converted[_renamed(key, ours=False)] = value
        else:
            raise ValueError(f'{key} has no place in the official CM-NAS model, which is ResNet, BNNeck and classifier')
    if not norms:
        raise ValueError('the checkpoint has no branch norms, so it is not one of CrossModalReID')
    for name, branches in norms.items():
        if set(branches) not in map(set, USED.values()):
            raise ValueError(f'the norm {name} is still searched; convert the pruned checkpoint that freezing writes')
        spare = branches.get('share') or branches['visible']
        for branch, official in BRANCHES.items():
            for entry, value in branches.get(branch, spare).items():
                idle = branch not in branches and entry == COUNTER  # so that the counters tell what is used
                key = _renamed(f'backbone.{name}.', ours=False) + f'{official}.{entry}'
                converted[key] = torch.zeros_like(value) if idle else value.clone()
    return converted


def model_config(state: Mapping[str, Tensor], arch: Mapping[str, str]) -> dict:
    """Returns the config of the model of a converted state dict: ResNet of last stride 1, average pooling."""
    width, num_classes = len(state['neck.bn.weight']), len(state['head.classifier.weight'])
    backbone = resnet_shape(state) | dict(strides=(1, 2, 2, 1), norm_cfg=dict(type='mmreid.BranchBN2d'))
    return dict(
        type='CrossModalReID',
        backbone=backbone,
        neck=dict(type='BNNeck', in_channels=width),
        head=dict(type='CrossModalHead', in_channels=width, num_classes=num_classes),
        arch=dict(arch),
    )


def arch_of(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Reads ``'share'`` or ``'split'`` of each norm from the keys of a ``CrossModalReID`` that is not searched."""
    found = [_OURS.fullmatch(key) for key in state]
    return {match[1]: 'share' if match[2] == 'share' else 'split' for match in found if match}


def _renamed(key: str, ours: bool) -> str:
    for official, own in _RENAMED:
        old, new = (official, own) if ours else (own, official)
        key = key.replace(old, new) if old.startswith('.') else re.sub(f'^{re.escape(old)}', new, key)
    return key
