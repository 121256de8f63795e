# Copyright (c) mmreid contributors. All rights reserved.
"""Omni-scale networks: small re-ID backbones, plain or with chosen or searched instance norms."""

import re
from typing import Any

import torch
from mmcv.cnn import build_norm_layer
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmreid.registry import MODELS

from .resnet_ibn import InstanceNorm

# Channels of the stem and of the stages.
CHANNELS = dict(
    x1_0=(64, 256, 384, 512),
    x0_75=(48, 192, 288, 384),
    x0_5=(32, 128, 192, 256),
    x0_25=(16, 64, 96, 128),
)
# Instance norms of the two blocks of conv2, conv3 and conv4: behind the sum, or inside, before it.
INSTANCE_NORMS = {
    None: ((None, None), (None, None), (None, None)),
    'ibn': (('behind', 'behind'), (None, None), (None, None)),
    'ain': (('inside', 'inside'), (None, 'inside'), ('inside', None)),
}
STREAMS = 'abcd'
REDUCTION = 4  # of the channels inside a block
GATE_REDUCTION = 16


class ConvNorm(nn.Module):
    """A convolution without bias, a norm and an activation.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        norm (nn.Module): The norm, or an identity.
        kernel_size (int): Defaults to 1.
        stride (int): Defaults to 1.
        activate (bool): Whether a ReLU ends it. Defaults to True.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: nn.Module,
        kernel_size: int = 1,
        stride: int = 1,
        activate: bool = True,
    ) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        self.bn = norm  # the name in the official weights, for any norm
        self.relu = nn.ReLU(inplace=True) if activate else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Computes the layer."""
        return self.relu(self.bn(self.conv(x)))


class LightConv(nn.Module):
    """A 3x3 convolution factored into a pointwise and a depthwise one (section 3.1 of the paper).

    Args:
        channels (int): Channels of input and output.
        norm_cfg (dict): Config of the norm.
    """

    def __init__(self, channels: int, norm_cfg: dict) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = build_norm_layer(norm_cfg, channels)[1]
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Computes the layer."""
        return self.relu(self.bn(self.conv2(self.conv1(x))))


class AggregationGate(nn.Module):
    """Weighs the channels of a stream by their average over the map (section 3.2); all streams of a block share it.

    Args:
        channels (int): Channels of a stream.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, channels // GATE_REDUCTION, 1)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(channels // GATE_REDUCTION, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Weighs the channels of a map (N, C, H, W)."""
        return x * torch.sigmoid(self.fc2(self.relu(self.fc1(self.pool(x)))))


class OSBlock(nn.Module):
    """A residual block of four streams with one to four light convolutions: receptive fields of 3x3 to 9x9 (figure 4).

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        norm_cfg (dict): Config of the batch norms.
        instance_norm (str, optional): ``'behind'`` the sum (IBN), ``'inside'`` before it, in place of the last batch
            norm (AIN), or None.
    """

    def __init__(self, in_channels: int, out_channels: int, norm_cfg: dict, instance_norm: str | None) -> None:
        super().__init__()
        channels = out_channels // REDUCTION
        self.instance_norm = instance_norm

        def norm(width: int) -> nn.Module:
            return build_norm_layer(norm_cfg, width)[1]

        self.conv1 = ConvNorm(in_channels, channels, norm(channels))
        for depth, name in enumerate(STREAMS, 1):
            layers = [LightConv(channels, norm_cfg) for _ in range(depth)]
            self.add_module(f'conv2{name}', layers[0] if depth == 1 else nn.Sequential(*layers))
        self.gate = AggregationGate(channels)
        last_norm = nn.Identity() if instance_norm == 'inside' else norm(out_channels)
        self.conv3 = ConvNorm(channels, out_channels, last_norm, activate=False)
        self.downsample = None
        if in_channels != out_channels:
            self.downsample = ConvNorm(in_channels, out_channels, norm(out_channels), activate=False)
        self.IN = InstanceNorm(out_channels) if instance_norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Computes the block; (N, in_channels, H, W) to (N, out_channels, H, W)."""
        reduced = self.conv1(x)
        mixed = sum(self.gate(getattr(self, f'conv2{name}')(reduced)) for name in STREAMS)
        residual = self.conv3(mixed)
        identity = x if self.downsample is None else self.downsample(x)
        if self.instance_norm == 'inside':
            return self.relu(self.IN(residual) + identity)
        return self.relu(self.IN(residual + identity))


@MODELS.register_module()
class OSNet(BaseBackbone):
    """Omni-scale network (Zhou et al., "Omni-Scale Feature Learning for Person Re-Identification", ICCV 2019).

    Its maps have strides 8, 16, 16 and 16, and at ``x1_0`` 256, 384, 512 and 512 channels. The linear layer after the
    pooling in the paper belongs to the neck: ``dict(type='BNNeck', in_channels=512, out_channels=512)``.

    Layers have the names of torchreid's ``osnet`` and ``osnet_ibn``. Two names of its ``osnet_ain`` differ: the last
    layers of the stages, ``pool2.0`` and ``pool3.0``, are ``conv2.2.0`` and ``conv3.2.0`` here, and a block's
    ``conv2.0.layers.0`` is ``conv2a``, ``conv2.1.layers.i`` is ``conv2b.i``, and so on. Its weights load all the same.

    Args:
        arch (str): Width: ``'x1_0'``, ``'x0_75'``, ``'x0_5'`` or ``'x0_25'``. Defaults to ``'x1_0'``.
        variant (str, optional): ``'ibn'``: the stem's norm is an instance norm, and the blocks of conv2 have one
            behind their sum; ``'ain'``: instance norms where a search placed them (Zhou et al., "Learning Generalisable
            Omni-Scale Representations for Person Re-Identification", TPAMI 2021). Defaults to None.
        out_indices (tuple[int, ...]): Which of conv2, conv3, conv4 and conv5, counted from 0, are returned. Defaults
            to ``(3,)``.
        norm_cfg (dict, optional): Config of the batch norms. Defaults to ``dict(type='BN')``.
        frozen_stages (int): -1 freezes nothing, 0 the stem, 1 to 4 also conv2 to conv5. Defaults to -1.
        norm_eval (bool): Keep batch norms in eval mode while training. Defaults to False.
        init_cfg (dict | list[dict], optional): Initial weights. Defaults to He's for convolutions.
    """

    def __init__(
        self,
        arch: str = 'x1_0',
        variant: str | None = None,
        out_indices: tuple[int, ...] = (3,),
        norm_cfg: dict | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | list[dict] | None = dict(type='Kaiming', layer='Conv2d'),  # noqa: B006
    ) -> None:
        _require(arch, CHANNELS, 'arch')
        _require(variant, INSTANCE_NORMS, 'variant')
        _require(frozen_stages, range(-1, 5), 'frozen_stages')
        for index in out_indices:
            _require(index, range(-4, 4), 'out_indices')
        super().__init__(init_cfg)
        norm_cfg = norm_cfg or dict(type='BN')
        self.out_indices = tuple(index % 4 for index in out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval

        stem, *widths = CHANNELS[arch]
        stem_norm = InstanceNorm(stem) if variant else build_norm_layer(norm_cfg, stem)[1]
        self.conv1 = ConvNorm(3, stem, stem_norm, kernel_size=7, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        before = stem
        for i, (width, norms) in enumerate(zip(widths, INSTANCE_NORMS[variant], strict=True)):
            halves = i < 2  # all but conv4
            self.add_module(f'conv{i + 2}', _stage(before, width, norm_cfg, norms, halves))
            before = width
        self.conv5 = ConvNorm(before, before, build_norm_layer(norm_cfg, before)[1])
        # The name in MMPretrain's ResNet, which drop_unused_stages needs.
        self.res_layers = ['conv2', 'conv3', 'conv4', 'conv5']
        self._freeze_stages()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps images (N, 3, H, W) to one map (N, C, h, w) for each of ``out_indices``."""
        x = self.maxpool(self.conv1(x))
        outs = []
        for i, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for key in list(state_dict):
            ours = prefix + our_name(key.removeprefix(prefix))
            if key.startswith(prefix) and key != ours:
                state_dict[ours] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def train(self, mode: bool = True) -> 'OSNet':
        """Sets the mode; frozen stages stay in eval mode."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze_stages(self) -> None:
        frozen = ['conv1', *self.res_layers][: self.frozen_stages + 1]
        for name in frozen:
            getattr(self, name).eval().requires_grad_(False)


def our_name(key: str) -> str:
    """Converts a weight name of torchreid's ``osnet_ain`` (without prefix) to ours; returns other names unchanged."""
    key = re.sub(r'^pool([23])\.0\.', r'conv\1.2.0.', key)
    key = re.sub(r'^(conv[234]\.\d\.)conv2\.0\.layers\.0\.', r'\1conv2a.', key)
    return re.sub(r'^(conv[234]\.\d\.)conv2\.([123])\.layers\.', lambda m: f'{m[1]}conv2{"abcd"[int(m[2])]}.', key)


def _stage(
    in_channels: int, out_channels: int, norm_cfg: dict, instance_norms: tuple[str | None, ...], halves: bool
) -> nn.Sequential:
    """Builds the blocks of a stage and, with ``halves``, the layer that halves its maps."""
    layers = []
    for instance_norm in instance_norms:
        layers.append(OSBlock(in_channels, out_channels, norm_cfg, instance_norm))
        in_channels = out_channels
    if halves:
        transition = ConvNorm(out_channels, out_channels, build_norm_layer(norm_cfg, out_channels)[1])
        layers.append(nn.Sequential(transition, nn.AvgPool2d(2, stride=2)))
    return nn.Sequential(*layers)


def _require(value: object, known: object, name: str) -> None:
    if value not in known:
        raise ValueError(f'{name} of OSNet has {value!r}; use one of {", ".join(map(repr, known))}')
