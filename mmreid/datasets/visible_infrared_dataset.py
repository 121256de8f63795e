# Copyright (c) mmreid contributors. All rights reserved.
"""What data sets of visible and infrared images have in common."""

import logging
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import print_log

from mmreid.datasets.readers.id_list import shorten
from mmreid.datasets.readers.layout_hints import find_root, hint_of_folder
from mmreid.structures import MODALITIES

from .base_reid_dataset import BaseReIDDataset


class VisibleInfraredDataset(BaseReIDDataset):
    """Base of the data sets whose query has one modality and whose gallery has the other.

    Args:
        data_root (str): The folder that holds one of ``MARKERS``, or its parent.
        **kwargs: See :class:`BaseReIDDataset`.

    Attributes:
        query_modality (str): ``'visible'`` or ``'infrared'``; the gallery has the other one.
    """

    #: Folders that identify the root of the data set.
    MARKERS: tuple[str, ...] = ()
    #: Names that the folder of the data set may have in its parent.
    NESTED: tuple[str, ...] = ()

    query_modality = 'infrared'

    def find_root(self) -> Path:
        """Finds the folder of the data set: ``data_root``, or the folder in it that is named like the data set."""
        top = self.require_folder(self.data_root)
        root = find_root(top, self.NESTED, self.MARKERS)
        if not any((root / marker).is_dir() for marker in self.MARKERS):
            raise FileNotFoundError(
                f'{type(self).__name__} found no folder {" or ".join(self.MARKERS)} in {top}; set data_root to a '
                f'folder with this layout:\n{self.tree}{hint_of_folder(top)}'
            )
        return root

    def name_variant(self, root: Path, *parts: str) -> None:
        """Sets what the log says about the data set in brackets: ``parts``, and the folder if it is a nested one."""
        inside = root != Path(self.data_root)
        self.variant = ', '.join([*parts, *([f'in {root.name}/'] if inside else [])]) or None

    def modality_of(self, split: str) -> str:
        """Returns the modality of ``'query'`` or ``'gallery'``."""
        return self.query_modality if split == 'query' else MODALITIES[self.query_modality == 'visible']

    def load_data_list(self) -> list[dict]:
        """Loads the records, warns of identities in one modality, and divides held-out ones as the test set is."""
        records = super().load_data_list()
        if self.split == 'train':
            self._warn_of_one_modality(records)
        if self.split == 'val' and {record['modality'] for record in records} == set(MODALITIES):
            for record in records:
                record['split'] = 'query' if record['modality'] == self.query_modality else 'gallery'
            records.sort(key=lambda record: record['split'] != 'query')
        return records

    def _warn_of_one_modality(self, records: Sequence[dict]) -> None:
        pids = {name: {record['pid'] for record in records if record['modality'] == name} for name in MODALITIES}
        for name, other in (MODALITIES, MODALITIES[::-1]):
            only = sorted(pids[name] - pids[other])
            if only:
                print_log(
                    f'{self.name} | {len(only)} training identities have no {other} image: {shorten(only)}',
                    logger='current',
                    level=logging.WARNING,
                )
