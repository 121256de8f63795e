# Copyright (c) mmreid contributors. All rights reserved.
"""WHICH images of an identity are in a batch of two modalities: K visible and K infrared ones."""

import numpy as np
from mmengine.logging import print_log

from mmreid.datasets.contract import ReIDData
from mmreid.registry import DATA_SAMPLERS

from .k_instance_sampler import KInstanceSampler
from .modality_table import modality_table, one_sided


@DATA_SAMPLERS.register_module()
class CrossModalityInstanceSampler(KInstanceSampler):
    """Draws K visible and K infrared images of each identity.

    A batch is [P x K visible | P x K infrared], and row i of both halves shows the same identity. Within an epoch all
    images of an identity in a modality are shown before one comes again; the two modalities may differ in number.

    The larger modality sets the length of an epoch, as in the official code of CM-NAS: ``images of it // those in a
    batch + 1`` batches, 348 on SYSU-MM01 and 33 on RegDB with 64 of each modality.

    Args:
        num_instances (int): K, per modality. Defaults to 4.
        on_missing (str): What to do with an identity of one modality: ``'raise'`` stops and names it; ``'drop'``
            leaves it out of all batches (it keeps its label). Defaults to ``'raise'``.
    """

    def __init__(self, num_instances: int = 4, on_missing: str = 'raise') -> None:
        super().__init__(num_instances)
        if on_missing not in ('raise', 'drop'):
            raise ValueError(f"on_missing={on_missing!r} of {type(self).__name__} must be 'raise' or 'drop'")
        self.on_missing = on_missing

    @property
    def images_per_class(self) -> int:
        """int: Images that one identity takes in a batch, over both modalities."""
        return 2 * self.num_instances

    def fit(self, dataset: ReIDData) -> None:
        """Indexes the images of each identity and modality."""
        name = type(self).__name__
        self.table = modality_table(dataset, name)
        missing, sentence = one_sided(self.table, dataset)
        if len(missing) and self.on_missing == 'raise':
            raise ValueError(f"{sentence}; {name} needs both, or leaves them out with on_missing='drop'")
        if len(missing):
            print_log(f'{sentence}; they are left out of the batches', logger='current')
        counts = self.table.counts.reshape(-1, 2)
        self.classes = np.flatnonzero(counts.all(axis=1))
        few = int((counts[self.classes] < self.num_instances).any(axis=1).sum())
        if few:
            print_log(
                f'{few} of {len(self.classes)} identities have fewer than num_instances={self.num_instances} images '
                'in a modality; theirs repeat within a batch',
                logger='current',
            )

    def num_batches(self, images_per_batch: int) -> int:
        """Returns the length of an epoch, see the class."""
        larger = int(self.table.counts.reshape(-1, 2)[self.classes].sum(axis=0).max())
        return larger // (images_per_batch // 2) + 1

    def draw(self, classes: np.ndarray) -> np.ndarray:
        """Draws images of identities, shape (B, P): indices, shape (B, 2 * P * K), the visible ones first."""
        # Drawn identity by identity, so that what each gets does not depend on how the batch is split over ranks.
        groups = np.stack([2 * classes, 2 * classes + 1], axis=-1)
        drawn = self.table.draw(groups.reshape(-1), self.num_instances)
        return drawn.reshape(*groups.shape, -1).swapaxes(1, 2).reshape(len(classes), -1)
