# Copyright (c) mmreid contributors. All rights reserved.
"""A batch sampler that is put together from an identity sampler and an instance sampler."""

from collections.abc import Iterable, Iterator

import numpy as np

from mmreid.datasets.contract import ReIDData
from mmreid.registry import DATA_SAMPLERS

from .identity_sampler import IdentitySampler
from .pseudo_label_sampler import PseudoLabelSampler
from .pseudo_label_view import PseudoLabelView
from .reid_batch_sampler import ReIDBatchSampler


@DATA_SAMPLERS.register_module()
class IdentityBatchSampler(ReIDBatchSampler, PseudoLabelSampler):
    """Makes batches of ``batch_size / images_per_class`` identities, and the drawn images of each.

    ``PseudoLabelHook`` may replace the identities by pseudo labels; the sampler then needs ``batches_per_epoch``.

    No identity is on two ranks, every rank gets the same number of equally large batches, and N ranks with batch B see
    what one rank sees with batch N x B.

    Args:
        sampler (IdentitySampler): The identity sampler (the ``sampler`` of the dataloader config).
        batch_size (int): Images per batch and rank (the ``batch_size`` of the dataloader config).
        instance_sampler (dict): Config of the instance sampler. Defaults to
            ``dict(type='KInstanceSampler', num_instances=4)``.
        rank (int, optional): This process rank. Defaults to the running one.
        world_size (int, optional): Number of ranks. Defaults to the size of the running group.

    Raises:
        TypeError: If the sampler is not an identity sampler.
        ValueError: If the batch is not a multiple of ``images_per_class``, or there are too few identities.
    """

    def __init__(
        self,
        sampler: IdentitySampler,
        batch_size: int,
        instance_sampler: dict | None = None,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        if not isinstance(sampler, IdentitySampler):
            raise TypeError(
                f'{type(self).__name__} needs an identity sampler as sampler, but got a {type(sampler).__name__}; '
                "use sampler=dict(type='RandomIdentitySampler')"
            )
        super().__init__(sampler, batch_size, rank, world_size)
        instance_sampler = instance_sampler or dict(type='mmreid.KInstanceSampler', num_instances=4)
        self.instance_sampler = (
            DATA_SAMPLERS.build(instance_sampler) if isinstance(instance_sampler, dict) else instance_sampler
        )
        each = self.instance_sampler.images_per_class
        if batch_size % each or batch_size < each:
            raise ValueError(
                f'batch_size={batch_size} is not a multiple of the {each} images that each identity takes; choose '
                f'batch_size = P x {each}, e.g. {max(1, batch_size // each) * each}'
            )
        self.classes_per_batch = batch_size // each
        self._whole, self._known = sampler.dataset, None
        self._fit()
        self._length = sampler.num_batches(self.instance_sampler.num_batches(batch_size * self.world_size))

    def _fit(self) -> None:
        """Takes the identities of the sampler's data set, and makes sure that batches can be made of them."""
        self.instance_sampler.fit(self.sampler.dataset)
        self.sampler.keep_classes(self.instance_sampler.classes)
        self.sampler.check_batch(self.classes_per_batch, self.world_size, self.instance_sampler.images_per_class)

    @property
    def dataset(self) -> ReIDData:
        """ReIDData: The images that it draws from, those without a pseudo label included."""
        return self._whole

    def set_labels(self, labels: np.ndarray) -> None:
        """Sets the identities, see :class:`PseudoLabelSampler`; the length of an epoch stays."""
        if not self.sampler.batches_per_epoch:
            raise ValueError(
                'the number of clusters changes, but not the length of an epoch; set it: '
                f"train_dataloader.sampler=dict(type='{type(self.sampler).__name__}', batches_per_epoch=...)"
            )
        view = PseudoLabelView(self._whole, labels)
        self.sampler.show(view)
        self._known = view.known
        self._fit()

    def __len__(self) -> int:
        return self._length

    def batches(self, num_batches: int) -> Iterator[np.ndarray]:
        """Yields this rank's batches, each in the order of the instance sampler."""
        self.instance_sampler.start_epoch(self.sampler.rng(1))
        global_batches = self.sampler.batches(self.classes_per_batch * self.world_size, num_batches)
        parts = (part for classes in global_batches for part in classes.reshape(self.world_size, -1))
        turn = 0
        for run in runs_of_different_classes(parts, int(self.sampler.classes.max()) + 1):
            # Every rank draws the parts of all ranks, so that all continue from the same state.
            drawn = self.instance_sampler.draw(run)
            mine = drawn[(self.rank - turn) % self.world_size :: self.world_size]
            yield from mine if self._known is None else self._known[mine]
            turn += len(run)


def runs_of_different_classes(parts: Iterable[np.ndarray], num_classes: int, longest: int = 64) -> Iterator[np.ndarray]:
    """Joins parts of batches, (P,), to runs without an identity twice, (parts, P): drawing many is faster."""
    run: list[np.ndarray] = []
    met = np.zeros(num_classes, dtype=bool)
    for part in parts:
        if len(run) == longest or met[part].any():
            yield np.stack(run)
            run = []
            met[:] = False
        run.append(part)
        met[part] = True
    if run:
        yield np.stack(run)
