# Copyright (c) mmreid contributors. All rights reserved.
"""Infers from weights which ResNet they belong to."""

import re
from collections.abc import Mapping

from torch import Tensor

_BLOCK = re.compile(r'backbone\.layer(\d)\.(\d+)\.')
# By blocks of the stages, and whether they are bottlenecks.
_DEPTHS = {
    ((2, 2, 2, 2), False): 18,
    ((3, 4, 6, 3), False): 34,
    ((3, 4, 6, 3), True): 50,
    ((3, 4, 23, 3), True): 101,
    ((3, 8, 36, 3), True): 152,
}


def resnet_shape(state: Mapping[str, Tensor], stages: int = 4) -> dict:
    """Reads depth, widths and instance norms of a ResNet from its weights.

    Args:
        state (Mapping[str, Tensor]): With our names, ``backbone.layer1.0.conv1.weight`` and so on.
        stages (int): How many stages to compare; with fewer, the shallowest ResNet that fits. Defaults to 4.

    Returns:
        dict: Config of a ``ResNet`` or ``ResNetIBN``; without strides, which weights do not show.

    Raises:
        ValueError: If it is not a ResNet of a known depth.
    """
    found = {match.groups() for match in map(_BLOCK.match, state) if match}
    blocks = tuple(sum(int(stage) == i for stage, _ in found) for i in range(1, stages + 1))
    deep = 'backbone.layer1.0.conv3.weight' in state
    depths = [depth for (known, bottleneck), depth in _DEPTHS.items() if (known[:stages], bottleneck) == (blocks, deep)]
    if not depths or 'backbone.conv1.weight' not in state:
        raise ValueError(f'a ResNet with {blocks} blocks in its stages is unknown, so the checkpoint is incomplete')
    config = dict(
        type='ResNet',
        depth=depths[0],
        stem_channels=len(state['backbone.conv1.weight']),
        base_channels=len(state['backbone.layer1.0.conv1.weight']),
    )
    if any('.IN.' in key for key in state):
        config.update(type='ResNetIBN', ibn='a' if 'backbone.layer1.0.bn1.IN.weight' in state else 'b')
    return config
