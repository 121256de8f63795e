# Copyright (c) mmreid contributors. All rights reserved.
"""Converts weights of torchreid (KaiyangZhou/deep-person-reid), its ResNets and OSNets, to :class:`ImageReID`."""

import re
from collections.abc import Mapping

from torch import Tensor

from mmreid.models.backbones.osnet import our_name

from .resnet_shape import resnet_shape
from .weight_conversion import Conversion, plain_norm

WIDTHS = {64: 'x1_0', 48: 'x0_75', 32: 'x0_5', 16: 'x0_25'}  # channels of an OSNet's stem
CLASSIFIER = 'of the training identities, with a bias that our head lacks; features do not use it'
# Theirs, ours; the first match counts.
_RENAMED = (
    (r'fc\.0\.', 'neck.embed.'),
    (r'fc\.1\.', 'neck.bn.'),
    (r'(conv\d|bn1|layer[1-4])\.', r'backbone.\1.'),
)


def convert(state: Mapping[str, Tensor], last_stride: int | None = None) -> Conversion:
    """Converts the weights of a ResNet (also with IBN) or of an OSNet (also IBN and AIN).

    Our model compares what torchreid compares: the pooled map, or the output of a linear layer after the pooling
    (``fc``), as in OSNet.

    Args:
        state (Mapping[str, Tensor]): With torchreid's names.
        last_stride (int, optional): Stride of the last stage of a ResNet. Defaults to None: 1 with such a linear layer
            (``resnet50_fc512``), 2 without, as in torchreid.

    Returns:
        Conversion: Weights and config of an ``ImageReID``.

    Raises:
        ValueError: If it is another model, or has an unknown entry.
    """
    kinds = [stem for stem in ('conv1.conv.weight', 'conv1.weight') if stem in state]
    if not kinds:
        raise ValueError(
            'these are not weights of a ResNet or an OSNet of torchreid: they have neither conv1.weight nor '
            f'conv1.conv.weight, but {", ".join(list(state)[:4])}'
        )
    deeper = [key for key in state if key.startswith('fc.') and key.split('.')[1] not in '01']
    if deeper:
        raise ValueError(f'{deeper[0]} belongs to a second linear layer after the pooling, but our necks have one')
    converted, used = {}, []
    dropped = {key: CLASSIFIER for key in state if key.startswith('classifier.')}
    for key, value in state.items():
        if key not in dropped:
            converted[_renamed(key)] = value
            used.append(key)
    filled = {}
    has_fc = 'neck.embed.weight' in converted
    is_osnet = kinds[0] == 'conv1.conv.weight'
    strides = dict(strides=(1, 2, 2, last_stride or (1 if has_fc else 2)))
    backbone = _osnet_config(converted) if is_osnet else resnet_shape(converted) | strides
    if has_fc:
        width, channels = converted['neck.embed.weight'].shape
        neck = dict(type='EmbeddingNeck', in_channels=channels, out_channels=width, relu=True)
    else:
        width = _channels(converted, is_osnet)
        neck = dict(type='BNNeck', in_channels=width)
        norm = plain_norm(width)
        converted.update(norm)
        filled = dict.fromkeys(norm, 'a norm that changes nothing; the feature before it is compared')
    config = dict(
        type='ImageReID',
        backbone=backbone,
        neck=neck,
        head=dict(type='ReIDHead', in_channels=width),
        matcher=dict(type='EuclideanMatcher'),
        test_feat='after' if has_fc else 'before',
    )
    return Conversion(config, converted, used, dropped, filled)


def _renamed(key: str) -> str:
    known = our_name(key)
    for theirs, ours in _RENAMED:
        renamed, count = re.subn(f'^{theirs}', ours, known)
        if count:
            return renamed
    raise ValueError(f'the entry {key} is not part of a ResNet or an OSNet of torchreid')


def _osnet_config(state: Mapping[str, Tensor]) -> dict:
    width = len(state['backbone.conv1.conv.weight'])
    if width not in WIDTHS:
        raise ValueError(f'an OSNet with {width} channels in its stem is unknown; use {", ".join(WIDTHS.values())}')
    variant = None
    if 'backbone.conv2.0.IN.weight' in state:
        variant = 'ibn' if 'backbone.conv2.0.conv3.bn.weight' in state else 'ain'
    return dict(type='OSNet', arch=WIDTHS[width], variant=variant)


def _channels(state: Mapping[str, Tensor], is_osnet: bool) -> int:
    last = 'backbone.conv5.conv.weight' if is_osnet else 'backbone.layer4.0.downsample.0.weight'
    if last not in state:
        raise ValueError(f'the weights have no {last.removeprefix("backbone.")}, so they are incomplete')
    return len(state[last])
