# Copyright (c) mmreid contributors. All rights reserved.
"""A batch sampler put together from a class chooser and an instance drawer."""

from collections.abc import Iterator

from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmreid.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class IdentityBatchSampler(Sampler):
    """Makes batches of ``batch_size / images_per_class`` classes, and the drawn images of each.

    All ranks compute the same global batch and each takes its own slice, so no identity is on two ranks, every rank
    gets the same number of equally large batches, and N ranks with batch B see what one rank sees with batch N x B.

    Args:
        sampler (RandomClassChooser): The class chooser (the ``sampler`` of the dataloader config).
        batch_size (int): Images per batch and rank (the ``batch_size`` of the dataloader config).
        drawer (dict): Config of the instance drawer. Defaults to ``dict(type='KInstanceDrawer', num_instances=4)``.
        rank (int, optional): This rank. Defaults to the running process's.
        world_size (int, optional): Number of ranks. Defaults to the running group's.

    Raises:
        ValueError: If the batch is no multiple of ``images_per_class``, or there are too few classes.
    """

    def __init__(
        self,
        sampler,
        batch_size: int,
        drawer: dict | None = None,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        drawer = drawer or dict(type='mmreid.KInstanceDrawer', num_instances=4)
        self.drawer = DATA_SAMPLERS.build(drawer) if isinstance(drawer, dict) else drawer
        running_rank, running_size = get_dist_info()
        self.rank = running_rank if rank is None else rank
        self.world_size = running_size if world_size is None else world_size

        each = self.drawer.images_per_class
        if batch_size % each or batch_size < each:
            raise ValueError(
                f'batch_size={batch_size} is no multiple of the {each} images that each identity takes; choose '
                f'batch_size = P x {each}, e.g. {max(1, batch_size // each) * each}'
            )
        self.classes_per_batch = batch_size // each
        needed = self.classes_per_batch * self.world_size
        if sampler.num_classes < needed:
            ranks = f' x {self.world_size} ranks' if self.world_size > 1 else ''
            raise ValueError(
                f'batch_size={batch_size} / {each} images of each{ranks} = {needed} different identities in a batch, '
                f'but the training set has {sampler.num_classes}; lower train_dataloader.batch_size to at most '
                f'{sampler.num_classes // self.world_size * each}, or raise num_instances'
            )
        self.drawer.fit(sampler.dataset)
        self._length = sampler.num_batches(batch_size * self.world_size)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[list[int]]:
        self.drawer.start_epoch(self.sampler.rng(1))
        for classes in self.sampler.batches(self.classes_per_batch * self.world_size, self._length):
            for rank, part in enumerate(classes.reshape(self.world_size, -1)):
                indices = self.drawer.draw(part)
                if rank == self.rank:
                    batch = indices.tolist()
            yield batch
