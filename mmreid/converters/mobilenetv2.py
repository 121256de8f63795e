# Copyright (c) mmreid contributors. All rights reserved.
"""Converts ImageNet weights of MobileNetV2 with torchvision's names, of any version, to an :class:`ImageReID`."""

import re
from collections.abc import Mapping

from torch import Tensor

from .weight_conversion import Conversion, plain_norm

CLASSIFIER = 'of ImageNet classes, which people are not; features do not use it'
CHANNELS = 1280
#: First block of each of MMPretrain's layers; blocks count from 1, and 0 and 18 are the stem and the last convolution.
LAYERS = {1: 'layer1', 2: 'layer2', 4: 'layer3', 7: 'layer4', 11: 'layer5', 14: 'layer6', 17: 'layer7'}
LAST = 18


def convert(state: Mapping[str, Tensor]) -> Conversion:
    """Converts the weights of a MobileNetV2 of width 1.

    Args:
        state (Mapping[str, Tensor]): With torchvision's names, ``features.0.0.weight`` to ``features.18.1.*``, with or
            without a classifier.

    Returns:
        Conversion: Weights and config of an ``ImageReID`` whose feature is the pooled last map, shape (1280,).

    Raises:
        ValueError: If it is another model, or has an unknown entry.
    """
    dropped = {key: CLASSIFIER for key in state if key.startswith('classifier.')}
    used = [key for key in state if key not in dropped]
    names = _module_names(used)
    converted = {f'backbone.{names[key.rpartition(".")[0]]}.{key.rpartition(".")[2]}': state[key] for key in used}
    norm = plain_norm(CHANNELS)
    converted.update(norm)
    config = dict(
        type='ImageReID',
        backbone=dict(type='mmpretrain.MobileNetV2', out_indices=(7,)),
        neck=dict(type='BNNeck', in_channels=CHANNELS),
        head=dict(type='ReIDHead', in_channels=CHANNELS),
        test_feat='before',
    )
    filled = dict.fromkeys(norm, 'a norm that changes nothing; the feature before it is compared')
    return Conversion(config, converted, used, dropped, filled)


def _module_names(keys: list[str]) -> dict[str, str]:
    """Returns our name of each of their modules; in every block, convolutions and norms take turns."""
    blocks: dict[int, list[str]] = {}
    for key in keys:
        module = key.rpartition('.')[0]
        match = re.fullmatch(r'features\.(\d+)\.(conv\.)?\d+(\.\d+)?', module)
        if match is None or int(match[1]) > LAST:
            raise ValueError(f'the entry {key} is not part of a MobileNetV2 with the names of torchvision')
        modules = blocks.setdefault(int(match[1]), [])
        if module not in modules:
            modules.append(module)
    return {module: name for block, modules in blocks.items() for module, name in _block_names(block, modules).items()}


def _block_names(block: int, modules: list[str]) -> dict[str, str]:
    kinds = ('conv', 'bn')
    if block in (0, LAST):
        name = 'conv1' if block == 0 else 'conv2'
        return {module: f'{name}.{kinds[place % 2]}' for place, module in enumerate(modules)}
    first = max(start for start in LAYERS if start <= block)
    name = f'{LAYERS[first]}.{block - first}.conv'
    return {module: f'{name}.{place // 2}.{kinds[place % 2]}' for place, module in enumerate(modules)}
