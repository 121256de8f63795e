# Copyright (c) mmreid contributors. All rights reserved.
"""The two networks of StarGAN (Choi et al., CVPR 2018), with person images and cameras as domains."""

import torch
from mmengine.model import BaseModule
from torch import nn

from mmreid.registry import MODELS

DOWNSCALE = 4  # factor by which the generator shrinks an image internally


@MODELS.register_module()
class StarGANGenerator(BaseModule):
    """Turns an image into one that another camera would have taken.

    A 7x7 convolution, two convolutions that halve the size, residual blocks, two that double it, and a 7x7 convolution
    with tanh. The target camera is one-hot in further input channels, constant over the image.

    Args:
        num_cameras (int): Number of cameras.
        base_channels (int): Channels of the first convolution. Defaults to 64.
        num_blocks (int): Number of residual blocks. Defaults to 6.
        init_cfg (dict, optional): Defaults to None.
    """

    def __init__(
        self, num_cameras: int, base_channels: int = 64, num_blocks: int = 6, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.num_cameras = num_cameras
        width = base_channels
        layers = _convolution(nn.Conv2d(3 + num_cameras, width, 7, padding=3, bias=False))
        for _ in range(2):
            layers += _convolution(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False))
            width *= 2
        layers += [ResidualBlock(width) for _ in range(num_blocks)]
        for _ in range(2):
            layers += _convolution(nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1, bias=False))
            width //= 2
        layers += [nn.Conv2d(width, 3, 7, padding=3, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: torch.Tensor, cameras: torch.Tensor) -> torch.Tensor:
        """Renders images (N, 3, H, W) in [-1, 1], H and W divisible by 4, in the styles of cameras (N,), int64."""
        wanted = nn.functional.one_hot(cameras, self.num_cameras).to(inputs.dtype)
        planes = wanted[:, :, None, None].expand(-1, -1, *inputs.shape[-2:])
        return self.layers(torch.cat([inputs, planes], dim=1))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance norm, added to their input.

    Args:
        width (int): Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(nn.Conv2d(width, width, 3, padding=1, bias=False)),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.InstanceNorm2d(width, affine=True),
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Computes the block on maps (N, width, H, W)."""
        return inputs + self.layers(inputs)


@MODELS.register_module()
class StarGANDiscriminator(BaseModule):
    """Scores patches of an image as real or made, and classifies its camera.

    Convolutions of stride 2 without norms, each with twice the channels of the one before; then one that scores every
    location (PatchGAN), and one over the whole map that classifies the camera.

    Args:
        num_cameras (int): Number of cameras.
        size (tuple[int, int]): Height and width of the images. Defaults to (256, 128).
        base_channels (int): Channels of the first convolution. Defaults to 64.
        num_layers (int): Number of convolutions of stride 2. Defaults to 6.
        init_cfg (dict, optional): Defaults to None.

    Raises:
        ValueError: If the size cannot be halved that often.
    """

    def __init__(
        self,
        num_cameras: int,
        size: tuple[int, int] = (256, 128),
        base_channels: int = 64,
        num_layers: int = 6,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.size = tuple(size)
        if any(side % 2**num_layers for side in self.size):
            raise ValueError(
                f'images of {_by(self.size)} cannot be halved num_layers={num_layers} times by StarGANDiscriminator; '
                f'choose sides divisible by {2**num_layers}, or fewer layers'
            )
        widths = [3, *(base_channels * 2**layer for layer in range(num_layers))]
        layers: list[nn.Module] = []
        for before, after in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.01)]
        self.layers = nn.Sequential(*layers)
        self.scores = nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False)
        whole = tuple(side // 2**num_layers for side in self.size)
        self.classifier = nn.Conv2d(widths[-1], num_cameras, whole, bias=False)

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns patch scores, higher for real images, (N, 1, h, w), and camera logits, (N, num_cameras)."""
        if tuple(inputs.shape[-2:]) != self.size:
            raise ValueError(
                f'StarGANDiscriminator was made for images of {_by(self.size)} and got {_by(inputs.shape[-2:])}; let '
                f'the pipeline crop them (RandomCrop, crop_size={self.size}), or set model.size'
            )
        maps = self.layers(inputs)
        return self.scores(maps), self.classifier(maps).flatten(1)


def _convolution(layer: nn.Module) -> list[nn.Module]:
    return [layer, nn.InstanceNorm2d(layer.out_channels, affine=True), nn.ReLU(inplace=True)]


def _by(size: tuple[int, int]) -> str:
    return f'{size[0]}x{size[1]}'
