# Copyright (c) mmreid contributors. All rights reserved.
"""Features as a gallery keeps them, or why it does not."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from mmreid.evaluation.functional import check_finite

from .model_info import GalleryFacts


def check_shape(features: Any, facts: GalleryFacts) -> np.ndarray:
    """Returns features as an array; raises ValueError unless they are vectors (N, D), or maps (N, C, H, W)."""
    array = np.asarray(features)
    if array.ndim != (4 if facts.is_map else 2) or not array.size or not np.issubdtype(array.dtype, np.floating):
        wanted = 'maps (N, C, H, W)' if facts.is_map else 'vectors (N, D)'
        raise ValueError(f'features are {array.dtype} of shape {array.shape}; give {wanted} of floats')
    return array


def kept_features(array: np.ndarray, facts: GalleryFacts, place: str) -> np.ndarray:
    """Prepares features to be kept or searched for.

    Args:
        array (np.ndarray): Features of the gallery's model, shape (N, ...).
        facts (GalleryFacts): What holds for the gallery.
        place (str): The gallery, for messages.

    Returns:
        np.ndarray: The same: float32 vectors, of length 1 for the cosine, or float16 maps.

    Raises:
        ValueError: If their shape differs from that of the gallery, or one is NaN or infinite.
    """
    if array.shape[1:] != facts.shape:
        raise ValueError(
            f'features have the shape {array.shape[1:]}, but those of {place} {facts.shape}; extract all with one model'
        )
    tensor = torch.from_numpy(np.ascontiguousarray(array, np.float32))
    check_finite(tensor, 'a new')
    if facts.uses_cosine:
        tensor = F.normalize(tensor)
    return tensor.numpy().astype(facts.dtype, copy=False)
