# Copyright (c) mmreid contributors. All rights reserved.
"""Renders images with a trained generator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmreid.models.utils import denormalize

from .camstyle_gan import CamStyleGAN


def rendering_pipeline(size: tuple[int, int], **loading: Any) -> list[dict]:
    """Returns the pipeline that loads images for rendering: not cropped, not mirrored.

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
        inputs (Sequence[torch.Tensor] | torch.Tensor): N loaded images of shape (3, H, W), BGR, uint8.
        cameras (Sequence[int]): Index of the N target cameras in ``model.cameras``.

    Returns:
        np.ndarray: Shape (N, H, W, 3), BGR, uint8.
    """
    images = model.data_preprocessor(dict(inputs=inputs))['inputs']
    styled = model.style(images, torch.as_tensor(cameras, dtype=torch.int64, device=images.device))
    preprocessor = model.data_preprocessor
    return denormalize(styled, preprocessor.mean, preprocessor.std)
