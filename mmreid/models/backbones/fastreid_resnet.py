# Copyright (c) mmreid contributors. All rights reserved.
"""The ResNet of fast-reid, for weights trained with it."""

from collections.abc import Sequence

from torch import nn

from mmreid.registry import MODELS

from .resnet_nl import ResNetNL


@MODELS.register_module()
class FastReIDResNet(ResNetNL):
    """ResNet whose first pooling has no padding, as in today's fast-reid (JDAI-CV/fast-reid, ``resnet.py``).

    The pooling windows lie one pixel further down and right than in other ResNets, and the maps have the same size. So
    weights of either load into the other but compute other features; use this one for weights of fast-reid.

    Args:
        depth (int): 18, 34, 50, 101 or 152.
        non_local (Sequence[int]): Number of non-local blocks in each stage, see :class:`ResNetNL`; SBS and AGW of
            fast-reid use ``(0, 2, 3, 0)`` at depth 50. Defaults to ``(0, 0, 0, 0)``.
        non_local_cfg (dict, optional): See :class:`ResNetNL`. Defaults to a single channel inside, as in fast-reid.
        ibn (str, optional): ``'a'``, or None. Defaults to None.
        **kwargs: See :class:`mmpretrain.models.ResNet`.
    """

    def __init__(
        self,
        depth: int,
        non_local: Sequence[int] = (0, 0, 0, 0),
        non_local_cfg: dict | None = None,
        ibn: str | None = None,
        **kwargs,
    ) -> None:
        non_local_cfg = dict(dict(reduction=2048), **(non_local_cfg or {}))
        super().__init__(depth, non_local=non_local, non_local_cfg=non_local_cfg, ibn=ibn, **kwargs)

    def _make_stem_layer(self, in_channels: int, stem_channels: int) -> None:
        super()._make_stem_layer(in_channels, stem_channels)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
