# Copyright (c) mmreid contributors. All rights reserved.
"""Batches of random images, each of them several times."""

from collections.abc import Iterator

import numpy as np

from mmreid.registry import DATA_SAMPLERS

from .random_image_batch_sampler import RandomImageBatchSampler


@DATA_SAMPLERS.register_module()
class RepeatedImageBatchSampler(RandomImageBatchSampler):
    """Draws images as :class:`RandomImageBatchSampler` does and puts each into the batch several times.

    The pipeline makes a different view of it each time. An epoch shows every image once, in that many views.

    Args:
        sampler (Sampler): See :class:`RandomImageBatchSampler`.
        batch_size (int): Images per batch and rank, repeated ones included.
        views (int): How often an image is in a batch. Defaults to 2.
        **kwargs: See :class:`RandomImageBatchSampler`.

    Raises:
        ValueError: If ``batch_size`` is not a multiple of ``views``.
    """

    def __init__(self, sampler, batch_size: int, views: int = 2, **kwargs) -> None:
        if views < 1 or batch_size % views:
            raise ValueError(f'batch_size={batch_size} of RepeatedImageBatchSampler is not a multiple of views={views}')
        super().__init__(sampler, batch_size // views, **kwargs)
        self.batch_size, self.views = batch_size, views

    def batches(self, num_batches: int) -> Iterator[np.ndarray]:
        """Yields this rank's batches: all images, then all of them again."""
        for images in super().batches(num_batches):
            yield np.tile(images, self.views)
