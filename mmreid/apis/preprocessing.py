# Copyright (c) mmreid contributors. All rights reserved.
"""From a decoded image to what the data preprocessor of a model takes, as the test pipeline does it."""

import mmcv
import numpy as np
import torch

from mmreid.structures import Preprocessing


def resized(image: np.ndarray, steps: Preprocessing) -> torch.Tensor:
    """Resizes an image; channel order, mean and standard deviation are the business of ``model.data_preprocessor``.

    Args:
        image (np.ndarray): Shape (H, W, 3), BGR, uint8.
        steps (Preprocessing): The contract of the model.

    Returns:
        torch.Tensor: Shape (3, height, width), BGR, uint8.
    """
    image = mmcv.imresize(image, steps.size[::-1], interpolation=steps.interpolation, backend=steps.resize_backend)
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
