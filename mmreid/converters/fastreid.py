# Copyright (c) mmreid contributors. All rights reserved.
"""Converts weights of fast-reid (JDAI-CV/fast-reid), its ResNets with one global feature, to :class:`ImageReID`."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from . import non_local_blocks
from .resnet_shape import resnet_shape
from .weight_conversion import Conversion, plain_norm

STEM_POOLS = ('unpadded', 'padded')
POOLS = ('average', 'gem')
FIXED_EXPONENT = 3.0
CLASSIFIERS = ('heads.weight', 'heads.classifier.weight')
EMBED, POOL, CLASSIFIER = 'neck.embed.weight', 'neck.pool.p', 'head.classifier.weight'
_BACKBONE = re.compile(
    r'backbone\.(?:conv1|bn1|layer[1-4]\.\d+\.(?:(?:conv|bn)\d|downsample\.[01]))\.(?:IN\.|BN\.)?\w+'
)
_NECK = re.compile(r'heads\.(bnneck|bottleneck\.\d)\.(\w+)')


def convert(
    state: Mapping[str, Tensor], last_stride: int = 1, stem_pool: str = 'unpadded', pool: str | None = None
) -> Conversion:
    """Converts the weights of a ``Baseline`` with a ResNet: BoT, AGW and SBS, with or without IBN and non-local blocks.

    Args:
        state (Mapping[str, Tensor]): With the names of fast-reid.
        last_stride (int): ``MODEL.BACKBONE.LAST_STRIDE``, which weights do not show. Defaults to 1.
        stem_pool (str): How the first pooling treats the border, which weights do not show: ``'unpadded'`` as in
            fast-reid today, or ``'padded'`` as in its early versions and in other ResNets. Defaults to ``'unpadded'``.
        pool (str, optional): ``MODEL.HEADS.POOL_LAYER`` if its exponent is not learned, and so not in the weights:
            ``'average'``, or ``'gem'`` for generalized means with exponent 3. Defaults to None: the average, but with
            non-local blocks it must be given, because AGW has either.

    Returns:
        Conversion: Weights and config of an ``ImageReID``.

    Raises:
        ValueError: If it is another model, has an unknown entry, or its pooling must be given.
    """
    if stem_pool not in STEM_POOLS:
        raise ValueError(f'stem_pool={stem_pool!r} is unknown; use one of {", ".join(STEM_POOLS)}')
    if pool not in (None, *POOLS):
        raise ValueError(f'pool={pool!r} is unknown; use one of {", ".join(POOLS)}')
    if 'backbone.conv1.weight' not in state:
        raise ValueError(
            'these are not weights of a ResNet of fast-reid: they have no backbone.conv1.weight, but '
            f'{", ".join(list(state)[:4])}'
        )
    converted: dict[str, Tensor] = {}
    dropped: dict[str, str] = {}
    pixels: dict[str, list[float]] = {}
    numbers = non_local_blocks.blocks_before(state, 'backbone.layer', 'backbone.NL_')
    norm = _last_norm(state)
    for key, value in state.items():
        if key in ('pixel_mean', 'pixel_std'):
            pixels[key.removeprefix('pixel_')] = [round(number, 3) for number in value.flatten().tolist()]
        elif key in CLASSIFIERS and not len(value):
            dropped[key] = 'a classifier without identities'
        else:
            converted[_renamed(key, value, numbers, norm)] = value
    _fit_shapes(converted)
    filled = {}
    pool_config = _pool_config(converted, any(numbers.values()), pool)
    if pool_config['type'] == 'GeneralizedMeanPooling' and POOL not in converted:
        converted[POOL] = torch.tensor([FIXED_EXPONENT])
        filled[POOL] = 'the exponent of fast-reid if it is not learned'
    has_norm = 'neck.bn.weight' in converted
    if not has_norm:
        added = plain_norm(len(converted[EMBED]) if EMBED in converted else _channels(converted))
        converted.update(added)
        filled |= dict.fromkeys(added, 'a norm that changes nothing; the feature before it is compared')
    width = len(converted['neck.bn.weight'])
    config = dict(
        type='ImageReID',
        backbone=_backbone_config(converted, numbers, last_stride, stem_pool),
        neck=_neck_config(converted, pool_config),
        head=dict(type='ReIDHead', in_channels=width),
        matcher=dict(type='CosineMatcher'),
        test_feat='after' if has_norm else 'before',
    )
    if pixels:
        config['data_preprocessor'] = pixels
    if CLASSIFIER in converted:
        config['head']['num_classes'] = len(converted[CLASSIFIER])
    return Conversion(config, converted, [key for key in state if key not in dropped], dropped, filled)


def _last_norm(state: Mapping[str, Tensor]) -> str:
    """Names the norm that ends the neck."""
    numbered = sorted(key.split('.')[2] for key in state if re.fullmatch(r'heads\.bottleneck\.\d\.running_mean', key))
    return f'bottleneck.{numbered[-1]}' if numbered else 'bnneck'


def _renamed(key: str, value: Tensor, numbers: dict[int, list[int]], norm: str) -> str:
    if key == 'heads.pool_layer.p':
        return POOL
    if key in CLASSIFIERS:
        return CLASSIFIER
    if _BACKBONE.fullmatch(key):
        return key
    if match := non_local_blocks.NON_LOCAL.fullmatch(key.removeprefix('backbone.')):
        return non_local_blocks.our_name(match, numbers)
    if match := _NECK.fullmatch(key):
        # Early files keep the counter alone under bnneck.
        if match[1] == norm or match[2] == 'num_batches_tracked':
            return f'neck.bn.{match[2]}'
        if match[2] == 'weight' and value.ndim in (2, 4):
            return EMBED
    raise ValueError(f'the entry {key} is not part of a Baseline with a ResNet of fast-reid{_hint(key)}')


def _fit_shapes(converted: dict[str, Tensor]) -> None:
    """Reshapes entries that we store differently, without changing the outputs."""
    if EMBED in converted:
        converted[EMBED] = converted[EMBED].flatten(1)  # a convolution of 1 x 1
    if POOL in converted:
        converted[POOL] = converted[POOL].reshape(1)
    non_local_blocks.fold_biases(converted)


def _channels(converted: Mapping[str, Tensor]) -> int:
    names = ('backbone.layer4.0.conv3.weight', 'backbone.layer4.0.conv2.weight')
    found = [converted[name] for name in names if name in converted]
    if not found:
        raise ValueError(f'the weights have no {names[1]}, so they are incomplete')
    return len(found[0])


def _pool_config(converted: Mapping[str, Tensor], has_non_local: bool, told: str | None) -> dict:
    """Reads the pooling from the weights, which hold an exponent only if it was learned."""
    if POOL in converted:
        if told == 'average':
            raise ValueError("the weights hold a learned exponent of GeM, so the pooling is not 'average'")
        return dict(type='GeneralizedMeanPooling')
    if has_non_local and told is None:
        raise ValueError(
            'the weights have non-local blocks but no exponent of a pooling, so they do not show how the maps were '
            'pooled; give --pool gem for MODEL.HEADS.POOL_LAYER gempool or GeneralizedMeanPooling (AGW), --pool '
            'average for the others'
        )
    if told == 'gem':
        return dict(type='GeneralizedMeanPooling', p_trainable=False)
    return dict(type='GlobalAveragePooling')


def _neck_config(converted: Mapping[str, Tensor], pool: dict) -> dict:
    embed = converted.get(EMBED)
    channels = len(converted['neck.bn.weight']) if embed is None else embed.shape[1]
    config = dict(type='BNNeck', in_channels=channels, pool=pool)
    return config if embed is None else dict(config, out_channels=len(embed))


def _backbone_config(
    converted: Mapping[str, Tensor], numbers: dict[int, list[int]], last_stride: int, stem_pool: str
) -> dict:
    """Chooses the class: ours for the pooling of fast-reid, otherwise the simplest one that fits."""
    config = resnet_shape(non_local_blocks.without_blocks(converted))
    config['strides'] = (1, 2, 2, last_stride)
    options = non_local_blocks.options(converted, numbers)
    if stem_pool == 'unpadded' or options:
        config['type'] = 'FastReIDResNet' if stem_pool == 'unpadded' else 'ResNetNL'
    return config | options


def _hint(key: str) -> str:
    if '.se.' in key:
        return '; squeeze-and-excitation blocks are not supported'
    if re.match(r'b\d', key):
        return '; MGN, which has several features, is not supported'
    return ''
