# Copyright (c) mmreid contributors. All rights reserved.
"""What every re-ID data set has in common: records, contiguous labels, id arrays, readable errors."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from mmpretrain.datasets import BaseDataset

from mmreid.datasets.contract import ReIDData
from mmreid.datasets.readers.id_map import MAX_ID
from mmreid.datasets.readers.image_files import shared_files
from mmreid.datasets.readers.published_counts import Counts, count_records, differences, is_procedural
from mmreid.registry import DATASETS, TRANSFORMS

from .corrupt_images import CorruptImages
from .hold_out import as_query_and_gallery, held_out_pids

SPLITS = ('train', 'val', 'query', 'gallery', 'test')


@DATASETS.register_module()
class BaseReIDDataset(CorruptImages, BaseDataset, ReIDData):
    """Base of all re-ID data sets; a new one implements :meth:`parse` only.

    A record holds ``img_path``, ``pid`` (raw), ``camid`` (0-based) and ``split``, and optionally ``modality``
    (``'visible'`` or ``'infrared'``), ``timestamp`` (seconds), and ``pid_name`` and ``camid_name`` (what the user calls
    identity and camera). Training records also get ``gt_label``: the index of their pid among the training pids. Query
    and gallery are one data set (``split='test'``), so that features are extracted in one pass.

    Args:
        data_root (str): Folder of the data set.
        split (str): ``'train'``, ``'query'``, ``'gallery'``, ``'test'`` (query and then gallery) or ``'val'`` (what
            ``val_from_train`` holds out, as query and gallery). Defaults to ``'train'``.
        pipeline (Sequence): Transforms. Defaults to ().
        name (str, optional): Prefix of the metrics. Defaults to ``METAINFO['dataset_name']`` of the class.
        val_from_train (dict, optional): Training identities to hold out for choosing checkpoints and settings:
            ``dict(ratio=0.1, seed=0)``. Give the same to the training set and to the ``'val'`` set. Defaults to None.
        combine_all (bool): Whether the training set includes query and gallery as well, without distractors; for data
            that is not tested on. Defaults to False.
        compare_counts (bool): Whether to warn if the number of images differs from the published one; False for a part
            of a published data set. Defaults to True.
        on_corrupt (str): What to do with an unreadable training image: ``'raise'`` stops and names the file; ``'skip'``
            replaces it by another image of the same identity and modality, and counts it. Test images always raise,
            as replacing one would falsify the metrics. Defaults to ``'raise'``.
        **kwargs: See :class:`mmpretrain.datasets.BaseDataset`.

    Attributes:
        pids (np.ndarray): See :class:`ReIDData`, which also lists all other arrays.
        id_names (dict[int, str]): What the user calls the identities of own data; set by :meth:`parse`, else empty.
        variant (str, optional): Which release or layout was found on disk; set by :meth:`parse`.
    """

    METAINFO: dict = dict(dataset_name='reid')
    #: The tree that is expected on disk, with ``{root}`` for ``data_root``; shown when a part of it is missing.
    TREE: str = '  {root}/'
    #: Identities that mark distractors in the gallery.
    DISTRACTOR_PIDS: tuple[int, ...] = ()
    #: Whether there are published validation identities, which ``split='val'`` means if ``val_from_train`` is None.
    HAS_VAL_SPLIT: bool = False
    #: Whether each test image is meant to be query and gallery.
    QUERIES_IN_GALLERY: bool = False

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        pipeline: Sequence = (),
        name: str | None = None,
        on_corrupt: str = 'raise',
        val_from_train: dict | None = None,
        combine_all: bool = False,
        compare_counts: bool = True,
        **kwargs,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"split='{split}' of {type(self).__name__} is unknown; use one of {', '.join(SPLITS)}")
        if on_corrupt not in ('raise', 'skip'):
            raise ValueError(f"on_corrupt='{on_corrupt}' of {type(self).__name__} is unknown; use 'raise' or 'skip'")
        if val_from_train is not None and (
            set(val_from_train) - {'ratio', 'seed'} or not isinstance(val_from_train.get('ratio'), float)
        ):
            raise ValueError(
                f'val_from_train={val_from_train} of {type(self).__name__} must look like dict(ratio=0.1, seed=0)'
            )
        if split == 'val' and val_from_train is None and not self.HAS_VAL_SPLIT:
            raise ValueError(
                f"split='val' of {type(self).__name__} needs to know which training identities are held out; give "
                'val_from_train=dict(ratio=0.1, seed=0) here and in the training set'
            )
        self.split = split
        self.on_corrupt = on_corrupt
        self.val_from_train = val_from_train
        self.combine_all = combine_all
        self.compare_counts = compare_counts
        self.variant: str | None = None
        self.id_names: dict[int, str] = {}
        self.pids = self.camids = self.domains = self.gt_labels = np.zeros(0, dtype=np.int64)
        self.splits = self.modalities = np.zeros(0, dtype='<U8')
        kwargs.setdefault('ann_file', '')
        # MMEngine would replace a missing image by a random one, which breaks P x K batches.
        kwargs.setdefault('max_refetch', 0)
        kwargs.setdefault('test_mode', split != 'train')
        self.name = name or self.METAINFO['dataset_name']
        # Built here, in our registry, so that a data set also works outside a runner, where no scope is set.
        pipeline = [TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline]
        super().__init__(data_root=data_root, pipeline=pipeline, **kwargs)

    @property
    def num_classes(self) -> int:
        """int: Number of training identities; 0 for a test set."""
        return int(self.gt_labels.max()) + 1 if len(self.gt_labels) and self.split == 'train' else 0

    def splits_to_parse(self) -> tuple[str, ...]:
        """Returns the splits that :meth:`parse` has to read, in the order of the records."""
        if self.split == 'test':
            return ('query', 'gallery')
        if self.split == 'train' or self.val_from_train is not None:
            return ('train', 'query', 'gallery') if self.combine_all else ('train',)
        return (self.split,)

    def parse(self) -> list[dict]:
        """Reads the records of :meth:`splits_to_parse`, at least ``img_path``, ``pid``, ``camid`` and ``split``."""
        raise NotImplementedError(f'{type(self).__name__} must implement parse()')

    def published_counts(self) -> dict[str, Counts]:
        """Returns the published counts by split, empty if there are none; called after :meth:`parse`."""
        return {}

    def count_differences(self, records: list[dict]) -> list[str]:
        """Returns a sentence for each count of ``records``, as parsed, that differs from the published one."""
        return differences(count_records(records), self.published_counts())

    @property
    def tree(self) -> str:
        """str: The tree that is expected on disk."""
        return self.TREE.format(root=self.data_root)

    def require_folder(self, folder: str | Path, expected: str | None = None) -> Path:
        """Returns ``folder`` if it exists.

        Args:
            folder (str | Path): The folder.
            expected (str, optional): The expected tree, for the message. Defaults to :attr:`tree`.

        Raises:
            FileNotFoundError: If it is missing.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(
                f'{type(self).__name__} found no folder {folder}; set data_root (now {self.data_root!r}) to a folder '
                f'with this layout:\n{expected or self.tree}'
            )
        return folder

    def load_data_list(self) -> list[dict]:
        """Parses the records, compares their counts, makes the hold-out, and sorts query before gallery."""
        records = self.parse()
        if not records:
            raise ValueError(
                f"{type(self).__name__} found no image for split='{self.split}' under {self.data_root!r}; "
                'check that the folder is the right one and that it was unpacked completely'
            )
        for record in records:
            record.setdefault('modality', None)
            record.setdefault('domain', 0)
            record.setdefault('timestamp', None)
            self._check_size_of_ids(record)
        self._warn_of_counts(records)
        if self.split in ('train', 'val'):
            records = self._training_records(records)
        if self.split in ('test', 'val'):
            records.sort(key=lambda record: record['split'] != 'query')
            self._warn_of_shared_files(records)
        return records

    @staticmethod
    def _check_size_of_ids(record: dict) -> None:
        for key, what in (('pid', 'identity'), ('camid', 'camera')):
            if abs(record[key]) >= MAX_ID:
                raise ValueError(
                    f'{record["img_path"]} has the {what} {record[key]}, but a number of more than 17 digits is too '
                    'large; rename the file, or give it a shorter number'
                )

    def _warn_of_counts(self, records: list[dict]) -> None:
        if not self.compare_counts or is_procedural(records[0]['img_path']):
            return
        wrong = self.count_differences(records)
        if wrong:
            print_log(
                f'{self.name}{f" ({self.variant})" if self.variant else ""} | {"; ".join(wrong)}. Was the archive '
                f'unpacked fully, and is it the release you mean?',
                logger='current',
                level=logging.WARNING,
            )

    def _warn_of_shared_files(self, records: list[dict]) -> None:
        paths = {split: [record['img_path'] for record in records if record['split'] == split]
                 for split in ('query', 'gallery')}  # fmt: skip
        shared = shared_files(paths['query'], paths['gallery'])
        if shared and not self.QUERIES_IN_GALLERY:
            query, gallery = shared[0]
            spelled = f'{query} (in the gallery {gallery})' if query != gallery else query
            print_log(
                f'{self.name} | {len(shared)} images are query and gallery at once, the first is {spelled}: such a '
                'query finds itself where the camera rule does not leave it out; keep it in one of the two',
                logger='current',
                level=logging.WARNING,
            )

    def _training_records(self, records: list[dict]) -> list[dict]:
        if self.combine_all:
            records = [record for record in records if record['pid'] not in self.DISTRACTOR_PIDS]
            for record in records:
                record['split'] = 'train'
        if self.val_from_train is None:
            return as_query_and_gallery(records) if self.split == 'val' else records
        held_out = held_out_pids([record['pid'] for record in records], **self.val_from_train)
        if self.split == 'val':
            return as_query_and_gallery([record for record in records if record['pid'] in held_out])
        print_log(f'{self.name} | {len(held_out)} identities are held out by val_from_train', logger='current')
        return [record for record in records if record['pid'] not in held_out]

    def full_init(self) -> None:
        """Loads and relabels the records, and keeps their ids as arrays before MMEngine serializes them."""
        if self._fully_initialized:
            return
        # Set here because MMEngine takes a string in metainfo for a file name.
        self._metainfo['dataset_name'] = self.name
        self.data_list = self.load_data_list()
        self.data_list = self.filter_data()
        if self._indices is not None:
            self.data_list = self._get_unserialized_subset(self._indices)
        self._index_records()
        if self.serialize_data:
            self.data_bytes, self.data_address = self._serialize_data()
        self._fully_initialized = True
        print_log(self.summary(), logger='current')

    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keeps some records, and makes labels and arrays fit them.

        Args:
            indices (int | Sequence[int]): Which, or how many of the first (if negative, of the last).
        """
        super().get_subset_(indices)
        self._index_again()

    def get_subset(self, indices: int | Sequence[int]) -> 'BaseReIDDataset':
        """Returns a data set of some records, see :meth:`get_subset_`; this data set stays as it is."""
        subset = super().get_subset(indices)
        subset._index_again()
        return subset

    def _copy_without_annotation(self, memo: dict | None = None) -> 'BaseReIDDataset':
        # MMEngine's memo outlives the call and mixes data sets up once its addresses are used again.
        return super()._copy_without_annotation({} if memo is None else memo)

    def _index_again(self) -> None:
        self.data_list = [self.get_data_info(i) for i in range(len(self))]
        self._index_records()
        if self.serialize_data:
            self.data_bytes, self.data_address = self._serialize_data()

    def _index_records(self) -> None:
        self.pids = np.array([record['pid'] for record in self.data_list], dtype=np.int64)
        self.camids = np.array([record['camid'] for record in self.data_list], dtype=np.int64)
        self.domains = np.array([record['domain'] for record in self.data_list], dtype=np.int64)
        self.splits = np.array([record['split'] for record in self.data_list], dtype='<U8')
        self.modalities = np.array([record['modality'] or '' for record in self.data_list], dtype='<U8')
        self.forget_corrupt_images(len(self.data_list))
        if self.split != 'train':
            return
        _, self.gt_labels = np.unique(self.pids, return_inverse=True)
        for record, label in zip(self.data_list, self.gt_labels.tolist(), strict=True):
            record['gt_label'] = label
        self._metainfo['num_classes'] = self.num_classes

    def summary(self) -> str:
        """Returns one line for the log: counts of images, identities and cameras."""
        parts = []
        for split in ('query', 'gallery') if self.split in ('test', 'val') else (self.split,):
            chosen = self.splits == split
            ids, cams = len(np.unique(self.pids[chosen])), len(np.unique(self.camids[chosen]))
            parts.append(f'{split}: {int(chosen.sum())} images, {ids} identities, {cams} cameras')
        variant = f' ({self.variant})' if self.variant else ''
        return f'{self.name}{variant} | ' + ' | '.join(parts)
