# Copyright (c) mmreid contributors. All rights reserved.
"""ResNets that mix instance and batch normalization, IBN-a and IBN-b."""

from typing import Any

import torch
import torch.utils.checkpoint as cp
from mmcv.cnn import build_norm_layer
from mmpretrain.models.backbones import ResNet
from mmpretrain.models.backbones.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from mmreid.registry import MODELS

# Indices of the stages with instance norms.
STAGES = {'a': (0, 1, 2), 'b': (0, 1), None: ()}


class InstanceNorm(nn.InstanceNorm2d):
    """An affine instance norm that loads the weights of a batch norm and ignores its statistics; torch rejects both."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, metadata: dict, *args: Any) -> None:
        # The version of torch's own norms; without one torch reports the statistics as an error.
        super()._load_from_state_dict(state_dict, prefix, dict(metadata, version=2), *args)


class IBN(nn.Module):
    """Instance norm for the first half of the channels, batch norm for the second (Pan et al., ECCV 2018, IBN-a).

    The weights of a plain batch norm load into both halves.

    Args:
        channels (int): Number of channels.
        norm_cfg (dict): Config of the second half's norm.
    """

    def __init__(self, channels: int, norm_cfg: dict) -> None:
        super().__init__()
        self.half = channels // 2
        # Named as in the official weights.
        self.IN = InstanceNorm(self.half)
        self.BN = build_norm_layer(norm_cfg, channels - self.half)[1]

    def forward(self, x: Tensor) -> Tensor:
        """Normalizes a map (N, C, H, W)."""
        first, second = x.split((self.half, x.shape[1] - self.half), dim=1)
        return torch.cat((self.IN(first), self.BN(second)), dim=1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'):
            value = state_dict.pop(prefix + name, None)
            if value is None:
                continue
            if name in ('weight', 'bias'):
                state_dict[f'{prefix}IN.{name}'] = value[: self.half]
            state_dict[f'{prefix}BN.{name}'] = value[self.half :] if value.ndim else value
        super()._load_from_state_dict(state_dict, prefix, *args)


class _NormAfterSum:
    """A residual block with a norm between its sum and its last activation; an identity until one is set."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.IN = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Computes the block; shape (N, C, H, W) to (N, out_channels, h, w)."""

        def before_activation(x: Tensor) -> Tensor:
            identity = x if self.downsample is None else self.downsample(x)
            return self.IN(self.drop_path(self.residual(x)) + identity)

        if self.with_cp and x.requires_grad:
            return self.relu(cp.checkpoint(before_activation, x, use_reentrant=False))
        return self.relu(before_activation(x))


class IBNBasicBlock(_NormAfterSum, BasicBlock):
    """MMPretrain's block with a norm after its sum."""

    def residual(self, x: Tensor) -> Tensor:
        """Computes what is added to the input."""
        return self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))


class IBNBottleneck(_NormAfterSum, Bottleneck):
    """MMPretrain's block with a norm after its sum."""

    expansion = 4

    def residual(self, x: Tensor) -> Tensor:
        """Computes what is added to the input."""
        out = self.relu(self.norm1(self.conv1(x)))
        return self.norm3(self.conv3(self.relu(self.norm2(self.conv2(out)))))


@MODELS.register_module()
class ResNetIBN(ResNet):
    """ResNet with instance norms in its early stages (Pan et al., "Two at Once", ECCV 2018).

    - IBN-a: half of the first norm in every block of stages 1 to 3 is an instance norm;
    - IBN-b: the stem's norm is an instance norm, and the last blocks of stages 1 and 2 have one after their sum.

    Layers have the names of the official weights (XingangPan/IBN-Net), which load unchanged. Plain ImageNet weights
    load too, except into the instance norms that IBN-b adds after the sums.

    Args:
        depth (int): 18, 34, 50, 101 or 152.
        ibn (str, optional): ``'a'``, ``'b'``, or None for a plain ResNet. Defaults to ``'b'``.
        **kwargs: See :class:`mmpretrain.models.ResNet`.
    """

    arch_settings = {
        18: (IBNBasicBlock, (2, 2, 2, 2)),
        34: (IBNBasicBlock, (3, 4, 6, 3)),
        50: (IBNBottleneck, (3, 4, 6, 3)),
        101: (IBNBottleneck, (3, 4, 23, 3)),
        152: (IBNBottleneck, (3, 8, 36, 3)),
    }

    def __init__(self, depth: int, ibn: str | None = 'b', **kwargs) -> None:
        if ibn not in STAGES:
            raise ValueError(f"ibn={ibn!r} of {type(self).__name__} is unknown; use 'a' or 'b', or None for neither")
        if kwargs.get('deep_stem'):
            raise ValueError(f'{type(self).__name__} has no deep stem; leave deep_stem=False')
        self.ibn = ibn
        super().__init__(depth, **kwargs)

    def _make_stem_layer(self, in_channels: int, stem_channels: int) -> None:
        super()._make_stem_layer(in_channels, stem_channels)
        if self.ibn == 'b':
            setattr(self, self.norm1_name, InstanceNorm(stem_channels))

    def make_res_layer(self, **kwargs) -> nn.Module:
        """Builds the next stage."""
        layer = super().make_res_layer(**kwargs)
        if len(self.res_layers) not in STAGES[self.ibn]:
            return layer
        if self.ibn == 'b':
            layer[-1].IN = InstanceNorm(layer[-1].out_channels)
            return layer
        for block in layer:
            channels = block.conv1.out_channels
            setattr(block, block.norm1_name, IBN(channels, self.norm_cfg))
        return layer
