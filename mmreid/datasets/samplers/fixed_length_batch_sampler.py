# Copyright (c) mmreid contributors. All rights reserved.
"""Batches of random images, in epochs of a given length."""

from mmreid.registry import DATA_SAMPLERS

from .random_image_batch_sampler import RandomImageBatchSampler


@DATA_SAMPLERS.register_module()
class FixedLengthBatchSampler(RandomImageBatchSampler):
    """Draws images as :class:`RandomImageBatchSampler` does, in epochs of a given number of batches.

    For trainings that are counted in iterations. Unlike with MMEngine's ``IterBasedTrainLoop``, such a training resumes
    exactly at the end of each epoch, with workers, and without reading all earlier batches again.

    Args:
        sampler (Sampler): See :class:`RandomImageBatchSampler`.
        batch_size (int): Images per batch and rank.
        batches_per_epoch (int): Batches of an epoch. Defaults to 1000.
        **kwargs: See :class:`RandomImageBatchSampler`.

    Raises:
        ValueError: If an epoch is empty.
    """

    def __init__(self, sampler, batch_size: int, batches_per_epoch: int = 1000, **kwargs) -> None:
        super().__init__(sampler, batch_size, **kwargs)
        if batches_per_epoch < 1:
            raise ValueError(f'batches_per_epoch={batches_per_epoch} of FixedLengthBatchSampler must be at least 1')
        self.batches_per_epoch = batches_per_epoch

    def __len__(self) -> int:
        return self.batches_per_epoch
