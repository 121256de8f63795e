# Copyright (c) mmreid contributors. All rights reserved.
"""Renames weights of torchvision's RegNet, ConvNeXt and Swin for MMPretrain, which builds our backbones."""

import math
import re

from torch import Tensor

_PARTS = dict(a=1, b=2, c=3)


def to_mmpretrain(model: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Renames the weights of a torchvision model.

    Args:
        model (str): Name of the torchvision model, e.g. ``'swin_t'``.
        state (dict[str, Tensor]): Its weights.

    Returns:
        dict[str, Tensor]: The backbone's weights under MMPretrain's names, without the classifier; unchanged for
        families with the same names, such as ResNet.
    """
    rename = next((rule for family, rule in _FAMILIES.items() if model.startswith(family)), None)
    if rename is None:
        return state
    renamed = {}
    for name, value in state.items():
        found = rename(name, value)
        if found is not None:
            renamed[found[0]] = found[1]
    return renamed


def _regnet(name: str, value: Tensor) -> tuple[str, Tensor] | None:
    kinds = ('conv', 'bn')
    if found := re.fullmatch(r'stem\.([01])\.(\w+)', name):
        return f'{kinds[int(found[1])]}1.{found[2]}', value
    if found := re.fullmatch(r'trunk_output\.block(\d)\.block\d-(\d+)\.(?:proj|f\.([abc]))\.([01])\.(\w+)', name):
        stage, block, part, kind, rest = found.groups()
        layer = f'{kinds[int(kind)]}{_PARTS[part]}' if part else f'downsample.{kind}'
        return f'layer{stage}.{block}.{layer}.{rest}', value
    return None


def _convnext(name: str, value: Tensor) -> tuple[str, Tensor] | None:
    layers = {'0': 'depthwise_conv', '2': 'norm', '3': 'pointwise_conv1', '5': 'pointwise_conv2'}
    if found := re.fullmatch(r'features\.([0246])\.([01])\.(\w+)', name):
        return f'downsample_layers.{int(found[1]) // 2}.{found[2]}.{found[3]}', value
    if found := re.fullmatch(r'features\.([1357])\.(\d+)\.block\.([0235])\.(\w+)', name):
        return f'stages.{int(found[1]) // 2}.{found[2]}.{layers[found[3]]}.{found[4]}', value
    if found := re.fullmatch(r'features\.([1357])\.(\d+)\.layer_scale', name):
        return f'stages.{int(found[1]) // 2}.{found[2]}.gamma', value.flatten()
    if found := re.fullmatch(r'classifier\.0\.(\w+)', name):
        return f'norm3.{found[1]}', value
    return None


def _swin(name: str, value: Tensor) -> tuple[str, Tensor] | None:
    stem, layers = ('projection', None, 'norm'), {'mlp.0': 'ffn.layers.0.0', 'mlp.3': 'ffn.layers.1'}
    if found := re.fullmatch(r'features\.0\.([02])\.(\w+)', name):
        return f'patch_embed.{stem[int(found[1])]}.{found[2]}', value
    if found := re.fullmatch(r'features\.([1357])\.(\d+)\.(norm[12]|mlp\.[03])\.(\w+)', name):
        layer = layers.get(found[3], found[3])
        return f'stages.{int(found[1]) // 2}.blocks.{found[2]}.{layer}.{found[4]}', value
    if found := re.fullmatch(r'features\.([1357])\.(\d+)\.attn\.(.+)', name):
        if found[3] == 'relative_position_index':
            value = value.unflatten(0, (math.isqrt(len(value)), -1))
        return f'stages.{int(found[1]) // 2}.blocks.{found[2]}.attn.w_msa.{found[3]}', value
    if found := re.fullmatch(r'features\.([246])\.(reduction|norm)\.(\w+)', name):
        # torchvision joins the pixels of a 2 x 2 patch by columns with channels last, MMPretrain by rows with channels
        # first.
        channels = value.shape[-1] // 4
        merged = value.unflatten(-1, (4, channels))[..., [0, 2, 1, 3], :].transpose(-1, -2).flatten(-2)
        return f'stages.{int(found[1]) // 2 - 1}.downsample.{found[2]}.{found[3]}', merged
    if found := re.fullmatch(r'norm\.(\w+)', name):
        return f'norm3.{found[1]}', value
    return None


_FAMILIES = dict(regnet_=_regnet, convnext_=_convnext, swin_=_swin)
