# Copyright (c) mmreid contributors. All rights reserved.
"""Labeled source data sets and an unlabeled target data set as one training set."""

from collections.abc import Sequence

import numpy as np

from mmreid.registry import DATASETS

from .concat_dataset import ConcatReIDDataset
from .transforms.prepared import PreparedTransform


@DATASETS.register_module()
class SourceTargetDataset(ConcatReIDDataset):
    """Joins source data sets and, last, a target data set.

    The classifier has no classes for the target's identities. The target's images are numbered: ``slot`` is the memory
    slot of an image. Target records also keep the camera number of the target itself as ``style_camid``, for the
    camera-style transforms; these transforms of the target's pipeline (:class:`PreparedTransform`) see all target
    records once, so that missing images are reported before the training starts.

    Args:
        datasets (Sequence[dict]): Configs of the source data sets, then of the target, all with ``split='train'``.
        **kwargs: See :class:`ConcatReIDDataset`.

    Raises:
        ValueError: If there are fewer than two data sets, or they are not for training.

    Attributes:
        num_target (int): Number of target images.
        num_classes (int): Number of source identities.
    """

    def __init__(self, datasets: Sequence[dict], **kwargs) -> None:
        if len(datasets) < 2:
            raise ValueError(
                f'SourceTargetDataset needs source data sets and a target data set, but datasets has {len(datasets)}; '
                'give the source first and the target last'
            )
        super().__init__(datasets, **kwargs)
        if self.split != 'train':
            raise ValueError(f"SourceTargetDataset is for training, but its datasets have split='{self.split}'")

    @property
    def target_domain(self) -> int:
        """int: Domain of the target, which is the last data set."""
        return len(self.parts) - 1

    @property
    def num_target(self) -> int:
        """int: Number of target images, and of slots that a memory needs."""
        return int((self.domains == self.target_domain).sum())

    @property
    def num_classes(self) -> int:
        """int: Number of source identities; labels of target identities come after them and have no class."""
        labels = self.gt_labels[self.domains != self.target_domain]
        return int(labels.max()) + 1 if len(labels) else 0

    def images_of(self, domain: str) -> np.ndarray:
        """Returns the indices of the ``'source'`` or ``'target'`` images, shape (S,), in the order of memory slots."""
        return np.flatnonzero((self.domains == self.target_domain) == (domain == 'target'))

    def load_data_list(self) -> list[dict]:
        """Loads every part and lets the target's transforms see its records."""
        records = super().load_data_list()
        target = [record for record in records if record['domain'] == self.target_domain]
        first = min(record['camid'] for record in target) - int(self.parts[-1].camids.min())
        for record in target:
            record['style_camid'] = record['camid'] - first
        own = self.parts[-1].pipeline
        for step in (own if own.transforms else self.pipeline).transforms:
            if isinstance(step, PreparedTransform):
                step.prepare(target)
        return records

    def _index_records(self) -> None:
        super()._index_records()
        for slot, idx in enumerate(np.flatnonzero(self.domains == self.target_domain).tolist()):
            self.data_list[idx]['slot'] = slot
