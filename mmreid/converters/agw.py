# Copyright (c) mmreid contributors. All rights reserved.
"""Converts weights of AGW for two modalities and of what builds on its code, such as CAJ, to :class:`CrossModalReID`.

(mangye16/Cross-Modal-Re-ID-baseline.) Their network is three ResNets: two give the stems, the third the stages. The
rest of each stays in their files as it was before training. ADCA (yangbincv/ADCA) has the same network without
non-local blocks, and a classifier that it never trains.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from . import non_local_blocks
from .resnet_shape import resnet_shape
from .weight_conversion import Conversion

POOLS = ('average', 'gem')
EXPONENT = 3.0
UNUSED = 'a part of a ResNet that their network does not run'
UNTRAINED = 'a classifier that ADCA does not train'
_STEMS = {'visible_module.visible': 'visible', 'thermal_module.thermal': 'infrared'}
_STEM = re.compile(r'(visible_module\.visible|thermal_module\.thermal)\.(conv1|bn1)\.(\w+)')
_STAGE = re.compile(r'base_resnet\.base\.(layer[1-4]\..+)')
_RENAMED = {'bottleneck.': 'neck.bn.', 'classifier.': 'head.classifier.'}


def convert(state: Mapping[str, Tensor], pool: str | None = None, unsupervised: bool = False) -> Conversion:
    """Converts the weights of their ``embed_net``.

    Args:
        state (Mapping[str, Tensor]): With the names of the authors.
        pool (str, optional): ``'average'``, or ``'gem'`` for generalized means with exponent 3, which weights do not
            show. Defaults to None: as in their code, ``'gem'`` with non-local blocks and ``'average'`` without.
        unsupervised (bool): Whether they are weights of ADCA, whose ``pool`` is ``'gem'``. Defaults to False.

    Returns:
        Conversion: Weights and config of a ``CrossModalReID``, or of an ``UnsupervisedCrossModalReID`` for ADCA.

    Raises:
        ValueError: If it is another model, or has an unknown entry.
    """
    if pool not in (None, *POOLS):
        raise ValueError(f'pool={pool!r} is unknown; use one of {", ".join(POOLS)}')
    if 'visible_module.visible.conv1.weight' not in state:
        raise ValueError(
            'these are not weights of AGW for two modalities: they have no visible_module.visible.conv1.weight, but '
            f'{", ".join(list(state)[:4])}'
        )
    converted: dict[str, Tensor] = {}
    dropped: dict[str, str] = {}
    numbers = non_local_blocks.blocks_before(state, 'base_resnet.base.layer', 'NL_')
    for key, value in state.items():
        name = _our_name(key, numbers)
        if name is None:
            dropped[key] = UNUSED
        elif unsupervised and name.startswith('head.'):
            dropped[key] = UNTRAINED
        else:
            converted[name] = value
    non_local_blocks.fold_biases(converted)
    options = non_local_blocks.options(converted, numbers)
    plain = {key.replace('.visible.', '.'): value for key, value in non_local_blocks.without_blocks(converted).items()}
    backbone = resnet_shape(plain) | options | dict(strides=(1, 2, 2, 1), out_indices=(3,))
    if options:
        backbone['type'] = 'ResNetNL'
    filled = {}
    if (pool or ('gem' if options or unsupervised else 'average')) == 'gem':
        pool_config = dict(type='GeneralizedMeanPooling', p_trainable=False)
        converted['neck.pool.p'] = torch.tensor([EXPONENT])
        filled['neck.pool.p'] = 'the exponent of their pooling'
    else:
        pool_config = dict(type='GlobalAveragePooling')
    width = len(converted['neck.bn.weight']) if 'neck.bn.weight' in converted else 2048
    if unsupervised:
        head = dict(type='ContrastHead', in_channels=width)
    else:
        head = dict(type='CrossModalHead', in_channels=width, loss_correlation=None, loss_mmd=None)
        head['loss_triplet'] = dict(type='WeightedTripletLoss')
    if 'head.classifier.weight' in converted:
        head['num_classes'] = len(converted['head.classifier.weight'])
    config = dict(
        type='UnsupervisedCrossModalReID' if unsupervised else 'CrossModalReID',
        backbone=backbone,
        copied_layers=('conv1', 'bn1'),
        neck=dict(type='BNNeck', in_channels=width, pool=pool_config),
        head=head,
        matcher=dict(type='CosineMatcher'),
    )
    return Conversion(config, converted, [key for key in state if key not in dropped], dropped, filled)


def _our_name(key: str, numbers: dict[int, list[int]]) -> str | None:
    """Returns our name of an entry; None for one that their network does not run."""
    if match := _STEM.fullmatch(key):
        return f'backbone.{match[2]}.{_STEMS[match[1]]}.{match[3]}'
    if match := _STAGE.fullmatch(key):
        return f'backbone.{match[1]}'
    if match := non_local_blocks.NON_LOCAL.fullmatch(key):
        return non_local_blocks.our_name(match, numbers)
    for theirs, ours in _RENAMED.items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    if key.startswith((*_STEMS, 'base_resnet.base.')):
        return None
    raise ValueError(f'the entry {key} is not part of the embed_net of AGW')
