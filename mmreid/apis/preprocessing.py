# Copyright (c) mmreid contributors. All rights reserved.
"""From a decoded image to what the data preprocessor of a model takes, as the test pipeline does it."""

import mmcv
import numpy as np
import torch

from mmreid.structures import Preprocessing


def resized(image: np.ndarray, steps: Preprocessing) -> torch.Tensor:
    """Resizes an image (H, W, 3), BGR, uint8, to (3, height, width); ``model.data_preprocessor`` does the rest."""
    image = mmcv.imresize(image, steps.size[::-1], interpolation=steps.interpolation, backend=steps.resize_backend)
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
