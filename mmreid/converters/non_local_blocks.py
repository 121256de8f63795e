# Copyright (c) mmreid contributors. All rights reserved.
"""The non-local blocks of AGW, which its authors and fast-reid name ``NL_<stage>.<number>``."""

import re
from collections.abc import Mapping

from torch import Tensor

NON_LOCAL = re.compile(r'NL_([1-4])\.(\d+)\.(g|g\.0|theta|phi|W\.0|W\.1)\.(\w+)')
_PARTS = {
    'W.0': 'conv_out.conv',
    'W.1': 'conv_out.bn',
    'g': 'g.conv',
    'g.0': 'g.conv',
    'theta': 'theta.conv',
    'phi': 'phi.conv',
}
_INNER = '.non_local.g.conv.weight'


def blocks_before(state: Mapping[str, Tensor], layers: str, non_local: str) -> dict[int, list[int]]:
    """Returns, for each stage, the residual blocks that are followed by a non-local one: the last ones.

    Args:
        state (Mapping[str, Tensor]): With the names of the source.
        layers (str): What the names of residual blocks begin with, up to the number of the stage.
        non_local (str): The same for non-local blocks.
    """
    numbers = {}
    for stage in range(1, 5):
        count, extra = (
            len({key.removeprefix(start).split('.')[0] for key in state if key.startswith(start)})
            for start in (f'{layers}{stage}.', f'{non_local}{stage}.')
        )
        numbers[stage] = list(range(count - extra, count))
    return numbers


def our_name(match: re.Match, numbers: Mapping[int, list[int]]) -> str:
    """Returns our name of an entry that matches ``NON_LOCAL``."""
    block = numbers[int(match[1])][int(match[2])]
    return f'backbone.layer{match[1]}.{block}.non_local.{_PARTS[match[3]]}.{match[4]}'


def fold_biases(converted: dict[str, Tensor]) -> None:
    """Moves the last bias of each block, which ours lacks, into the mean of the norm that subtracts it again."""
    for key in [key for key in converted if key.endswith('.conv_out.conv.bias')]:
        mean = key.replace('.conv.bias', '.bn.running_mean')
        if mean in converted:
            converted[mean] = converted[mean] - converted.pop(key)


def without_blocks(converted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the weights without those of non-local blocks."""
    return {key: value for key, value in converted.items() if '.non_local.' not in key}


def options(converted: Mapping[str, Tensor], numbers: Mapping[int, list[int]]) -> dict:
    """Returns the options of ``ResNetNL`` that fit the weights; none without non-local blocks."""
    inner = [value for key, value in converted.items() if key.endswith(_INNER)]
    if not inner:
        return {}
    # A single inner channel, as in both codes, whatever the outer width; or a fraction of that width.
    single = all(len(weight) == 1 for weight in inner)
    widest = max(weight.shape[1] for weight in inner)
    reduction = widest if single else inner[0].shape[1] // len(inner[0])
    return dict(non_local=tuple(map(len, numbers.values())), non_local_cfg=dict(reduction=reduction))
