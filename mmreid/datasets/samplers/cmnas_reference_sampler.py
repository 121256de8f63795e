# Copyright (c) mmreid contributors. All rights reserved.
"""Exactly the batches that the code of the authors of CM-NAS draws."""

from collections.abc import Iterator

import numpy as np
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmreid.registry import DATA_SAMPLERS

from .modality_table import modality_table, one_sided
from .seeded_sampler import check_seeded


@DATA_SAMPLERS.register_module()
class CMNASReferenceSampler(Sampler):
    """Draws the batches of the official CM-NAS sampler, number for number, for comparisons with it.

    Each batch takes P random identities, and K visible and K infrared images of each **with replacement**; nothing
    ensures that all identities or images are shown. For your own trainings, use ``IdentityBatchSampler`` with
    ``CrossModalityInstanceSampler``, which does. A batch is [P x K visible | P x K infrared]; an epoch has
    ``max(visible images, infrared images) // (P x K) + 1`` batches.

    The stream is that of ``np.random`` after ``np.random.seed(seed)``, which continues from epoch to epoch. A resumed
    run draws the earlier epochs again, which takes about a quarter of a second each at the size of SYSU-MM01. Several
    ranks use one stream: each takes its own identities of a global batch.

    Paper: CM-NAS: Cross-Modality Neural Architecture Search for Visible-Infrared Person Re-Identification, ICCV 2021
    (arXiv 2101.08467).

    Args:
        sampler (Sampler): Carries data set, seed and epoch, e.g. ``dict(type='DefaultSampler', shuffle=True)``.
        batch_size (int): Images per batch and rank, over both modalities (twice the number of the official option).
        num_instances (int): K, per modality. Defaults to 4.
        rank (int, optional): This process rank. Defaults to the running one.
        world_size (int, optional): Number of ranks. Defaults to the size of the running group.

    Raises:
        ValueError: If these numbers do not make a batch, or an identity has one modality only.
    """

    def __init__(
        self, sampler, batch_size: int, num_instances: int = 4, rank: int | None = None, world_size: int | None = None
    ) -> None:
        name = type(self).__name__
        check_seeded(sampler, name)
        if num_instances < 1 or batch_size < 1 or batch_size % (2 * num_instances):
            raise ValueError(
                f'batch_size={batch_size} of {name} is not a multiple of 2 modalities x num_instances={num_instances}'
            )
        self.sampler = sampler
        self.batch_size = batch_size
        self.num_instances = num_instances
        running_rank, running_size = get_dist_info()
        self.rank = running_rank if rank is None else rank
        self.world_size = running_size if world_size is None else world_size

        self.table = modality_table(sampler.dataset, name)
        missing, sentence = one_sided(self.table, sampler.dataset)
        if len(missing):
            raise ValueError(f'{sentence}; {name} needs both of each; remove those identities from the training set')
        counts = self.table.counts.reshape(-1, 2)
        self.classes = np.flatnonzero(counts.all(axis=1))
        self.classes_per_batch = batch_size // (2 * num_instances) * self.world_size
        if self.classes_per_batch > len(self.classes):
            raise ValueError(
                f'batch_size={batch_size} on {self.world_size} rank(s) takes {self.classes_per_batch} different '
                f'identities, but the training set has {len(self.classes)}; lower train_dataloader.batch_size to at '
                f'most {len(self.classes) // self.world_size * 2 * num_instances}'
            )
        self._length = int(counts.sum(axis=0).max()) // (self.classes_per_batch * num_instances) + 1
        self._seed: int | None = None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._draw_until(self.sampler.seed, self.sampler.epoch):
            mine = np.array_split(batch, self.world_size, axis=1)[self.rank]
            yield mine.reshape(-1).tolist()

    def _draw_until(self, seed: int, epoch: int) -> np.ndarray:
        """Returns the global batches of an epoch, (batches, 2, P, K); draws the earlier epochs first if needed."""
        if seed != self._seed or epoch < self._epoch:
            self._seed, self._epoch, self._stream = seed, -1, np.random.RandomState(seed)
        while self._epoch < epoch:
            self._batches = self._draw_epoch()
            self._epoch += 1
        return self._batches

    def _draw_epoch(self) -> np.ndarray:
        k, stream = self.num_instances, self._stream
        counts, starts = self.table.counts.tolist(), self.table.starts.tolist()
        drawn = np.empty((self._length, 2, self.classes_per_batch, k), dtype=np.int64)
        for batch in drawn:
            for place, label in enumerate(stream.choice(self.classes, self.classes_per_batch, replace=False).tolist()):
                for modality, group in enumerate((2 * label, 2 * label + 1)):
                    # The numbers of stream.choice(images, k), which is slower.
                    batch[modality, place] = stream.randint(0, counts[group], k) + starts[group]
        return self.table.members[drawn]
