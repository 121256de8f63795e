# Copyright (c) mmreid contributors. All rights reserved.
"""Cuts a backbone after the last stage whose output is used."""

from mmpretrain.models.backbones import EfficientNet, ShuffleNetV2
from torch import nn


def drop_unused_stages(backbone: nn.Module) -> None:
    """Removes the stages after the last of ``out_indices``, which would cost time and never get a gradient.

    MMPretrain's backbones have no common base that tells their stages, so this looks for the attributes that they use:
    lists of names (ResNets, RegNets, RepVGGs, MobileNets), a list of modules (EfficientNets, ShuffleNets) or ``stages``
    (hierarchical transformers and ConvNeXts). Other backbones stay as they are, and need
    ``find_unused_parameters=True`` on several GPUs if they compute unused stages.

    Args:
        backbone (nn.Module): A backbone of MMPretrain, changed in place.
    """
    used = getattr(backbone, 'out_indices', None)
    if used is None:
        return
    for attribute in ('res_layers', 'stages', 'layers'):
        names = getattr(backbone, attribute, None)
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            count = _count(used, len(names))
            for name in names[count:]:
                delattr(backbone, name)
            setattr(backbone, attribute, names[:count])
            return
    # Other families have a list of modules called layers too, but its last one ends with a norm.
    if isinstance(backbone, (EfficientNet, ShuffleNetV2)):
        backbone.layers = backbone.layers[: _count(used, len(backbone.layers))]
        return
    stages = getattr(backbone, 'stages', None)
    if isinstance(stages, nn.ModuleList):
        count = _count(used, len(stages))
        for name in ('stages', 'downsample_layers'):
            parts = getattr(backbone, name, None)
            if isinstance(parts, nn.ModuleList) and len(parts) == len(stages):
                setattr(backbone, name, parts[:count])
        # In Swin transformers the downsampling to the next stage belongs to the stage before.
        if getattr(backbone, 'out_after_downsample', True) is False:
            backbone.stages[-1].downsample = None


def _count(out_indices: tuple[int, ...], num_stages: int) -> int:
    return max(index % num_stages for index in out_indices) + 1
