# Copyright (c) mmreid contributors. All rights reserved.
"""Explains why images of a batch cannot be stacked, which torch's own message does not."""

from collections.abc import Iterable

import torch


def require_one_size(images: Iterable[torch.Tensor]) -> None:
    """Raises a ValueError unless all images of a batch, each (3, H, W), have one size."""
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) > 1:
        raise ValueError(
            f'the images of a batch have {len(shapes)} sizes, e.g. {sorted(shapes)[:2]}; end the pipeline with '
            "dict(type='Resize', scale=(width, height)) before PackReIDInputs"
        )
