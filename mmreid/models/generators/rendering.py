# Copyright (c) mmreid contributors. All rights reserved.
"""Makes images with a trained generator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmreid.models.utils import denormalize

from .camstyle_gan import CamStyleGAN


def rendering_pipeline(size: tuple[int, int], **loading: Any) -> list[dict]:
    """Gives the pipeline of images that are to be rendered: whole, and not mirrored.

    Args:
        size (tuple[int, int]): Height and width, ``model.size``.
        **loading (Any): Arguments of ``LoadReIDImage``.

    Returns:
        list[dict]: Configs of the transforms.
    """
    return [
        dict(type='LoadReIDImage', **loading),
        dict(type='Resize', scale=(size[1], size[0])),
        dict(type='PackReIDInputs'),
    ]


@torch.no_grad()
def render(model: CamStyleGAN, inputs: Sequence[torch.Tensor] | torch.Tensor, cameras: Sequence[int]) -> np.ndarray:
    """Renders each image in the style of one camera.

    Args:
        model (CamStyleGAN): The model, unwrapped.
        inputs (Sequence[torch.Tensor] | torch.Tensor): Images as loaded, N of shape (3, H, W), BGR, uint8.
        cameras (Sequence[int]): Index of the camera to imitate for each, N.

    Returns:
        np.ndarray: Shape (N, H, W, 3), BGR, uint8.
    """
    images = model.data_preprocessor(dict(inputs=inputs))['inputs']
    styled = model.style(images, torch.as_tensor(cameras, dtype=torch.int64, device=images.device))
    preprocessor = model.data_preprocessor
    return denormalize(styled, preprocessor.mean, preprocessor.std)
