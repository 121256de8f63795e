# Copyright (c) mmreid contributors. All rights reserved.
"""Explains what torch only calls a failure to stack."""

from collections.abc import Iterable

import torch


def require_one_size(images: Iterable[torch.Tensor]) -> None:
    """Checks that the images of a batch can be stacked.

    Args:
        images (Iterable[torch.Tensor]): Each of shape (3, H, W).

    Raises:
        ValueError: If they differ in size.
    """
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) > 1:
        raise ValueError(
            f'the images of a batch have {len(shapes)} sizes, e.g. {sorted(shapes)[:2]}; end the pipeline with '
            "dict(type='Resize', scale=(width, height)) before PackReIDInputs"
        )
