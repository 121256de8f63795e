# Copyright (c) mmreid contributors. All rights reserved.
"""ResNets with non-local blocks: the backbone of AGW."""

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import NonLocal2d
from torch import Tensor, nn

from mmreid.registry import MODELS
from mmreid.utils.weight_sources import pretrained_of

from .resnet_ibn import IBNBasicBlock, IBNBottleneck, ResNetIBN


class _ThenNonLocal:
    """A residual block followed by a non-local block; an identity until one is set."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.non_local = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Computes both blocks."""
        return self.non_local(super().forward(x))


class NonLocalBasicBlock(_ThenNonLocal, IBNBasicBlock):
    """A basic block, then a non-local block."""


class NonLocalBottleneck(_ThenNonLocal, IBNBottleneck):
    """A bottleneck, then a non-local block."""


@MODELS.register_module()
class ResNetNL(ResNetIBN):
    """ResNet with non-local blocks after the last residual blocks of its stages, as in AGW.

    (Ye et al., "Deep Learning for Person Re-identification: A Survey and Outlook", TPAMI 2021; non-local blocks: Wang
    et al., CVPR 2018.) A non-local block adds a weighted sum over all locations of a map to each location. Its norm
    starts at zero, so with the weights of a plain ResNet this network starts as that ResNet. Such weights load
    completely; only the non-local blocks, ``layer<stage>.<block>.non_local``, are new.

    Args:
        depth (int): 18, 34, 50, 101 or 152.
        non_local (Sequence[int]): Number of non-local blocks in each stage: after its last residual block, the one
            before it, and so on. Defaults to ``(0, 2, 3, 0)``, as in AGW.
        non_local_cfg (dict, optional): Arguments of :class:`mmcv.cnn.NonLocal2d`. Defaults to
            ``dict(mode='dot_product', reduction=2)``: half of the channels inside, as in Wang et al. The official code
            of AGW has a single channel inside, which a reduction of 2048 gives.
        ibn (str, optional): ``'a'`` or ``'b'`` for the instance norms of :class:`ResNetIBN`. Defaults to None.
        **kwargs: See :class:`mmpretrain.models.ResNet`.

    Raises:
        ValueError: If a stage has fewer residual blocks than ``non_local`` asks for.
    """

    arch_settings = {
        18: (NonLocalBasicBlock, (2, 2, 2, 2)),
        34: (NonLocalBasicBlock, (3, 4, 6, 3)),
        50: (NonLocalBottleneck, (3, 4, 6, 3)),
        101: (NonLocalBottleneck, (3, 4, 23, 3)),
        152: (NonLocalBottleneck, (3, 8, 36, 3)),
    }

    def __init__(
        self,
        depth: int,
        non_local: Sequence[int] = (0, 2, 3, 0),
        non_local_cfg: dict | None = None,
        ibn: str | None = None,
        **kwargs,
    ) -> None:
        if depth in self.arch_settings:
            blocks = self.arch_settings[depth][1][: kwargs.get('num_stages', 4)]
            if len(non_local) != len(blocks) or not all(0 <= n <= m for n, m in zip(non_local, blocks, strict=True)):
                raise ValueError(
                    f'non_local={tuple(non_local)} does not fit ResNetNL-{depth}, whose stages have {blocks} residual '
                    'blocks; give one number for each stage, from 0 to its number of blocks'
                )
        self.non_local = tuple(non_local)
        self.non_local_cfg = dict(dict(mode='dot_product', reduction=2), **(non_local_cfg or {}))
        super().__init__(depth, ibn=ibn, **kwargs)

    def make_res_layer(self, **kwargs) -> nn.Module:
        """Builds the next stage."""
        layer = super().make_res_layer(**kwargs)
        count = self.non_local[len(self.res_layers)]
        for block in list(layer)[len(layer) - count :]:
            block.non_local = NonLocal2d(block.out_channels, norm_cfg=self.norm_cfg, **self.non_local_cfg)
        return layer

    def init_weights(self) -> None:
        """Initializes all weights as MMPretrain does, and the non-local blocks to add nothing."""
        super().init_weights()
        # MMPretrain initializes every norm, those of non-local blocks too; a checkpoint only sets what it contains.
        if not pretrained_of(dict(init_cfg=self.init_cfg)):
            for module in self.modules():
                if isinstance(module, NonLocal2d):
                    module.init_weights()
