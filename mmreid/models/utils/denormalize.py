# Copyright (c) mmreid contributors. All rights reserved.
"""Turns network inputs back into images."""

import numpy as np
import torch


def denormalize(
    inputs: torch.Tensor, mean: torch.Tensor | float = 0.0, std: torch.Tensor | float = 1.0, rgb: bool = True
) -> np.ndarray:
    """Turns network inputs back into images.

    Args:
        inputs (torch.Tensor): Shape (N, 3, H, W), float, normalized.
        mean (torch.Tensor | float): The subtracted mean, shape (3, 1, 1), on the 0-255 scale. Defaults to 0.
        std (torch.Tensor | float): The standard deviation divided by, shape (3, 1, 1). Defaults to 1.
        rgb (bool): Whether the channels are R, G, B; otherwise B, G, R. Defaults to True.

    Returns:
        np.ndarray: Shape (N, H, W, 3), BGR, uint8.
    """
    pixels = (inputs.detach().float() * std + mean).round().clamp(0, 255).to(torch.uint8)
    pixels = pixels.flip(1) if rgb else pixels
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
