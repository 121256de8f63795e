# Copyright (c) mmreid contributors. All rights reserved.
"""SYSU-MM01, read from its own folders."""

import logging
from itertools import combinations
from pathlib import Path

from mmengine.logging import print_log

from mmreid.datasets.readers.camera_folders import identity_folders, walk_images
from mmreid.datasets.readers.id_list import read_ids, read_ids_of_mat, shorten
from mmreid.datasets.readers.published_counts import Counts
from mmreid.registry import DATASETS

from .visible_infrared_dataset import VisibleInfraredDataset

INFRARED_CAMERAS = (3, 6)
GALLERY_CAMERAS = dict(all=(1, 2, 4, 5), indoor=(1, 2))
SINGLE_SHOT_SIZES = dict(all=301, indoor=112)  # each identity gives one image in each camera that saw it


@DATASETS.register_module()
class SYSUMM01(VisibleInfraredDataset):
    """SYSU-MM01 (Wu et al., ICCV 2017): 395 training and 96 test identities, 4 visible and 2 infrared cameras.

    The queries are all infrared images of the test identities, the gallery all their visible ones; the metric draws
    its trials from these. Records are sorted by identity, camera and name, and ``image_index`` is the position of an
    image in its folder, from 0, so that the published draws can be repeated.

    Args:
        data_root (str): The folder that holds ``cam1`` to ``cam6`` and ``exp``, or its parent.
        mode (str): Cameras of the gallery: ``'all'`` (1, 2, 4, 5) or ``'indoor'`` (1, 2). Defaults to ``'all'``.
        merge_val (bool): Whether to train on the 99 validation identities too, as in the papers. If False, they are
            ``split='val'``. Defaults to True.
        **kwargs: See :class:`BaseReIDDataset`.
    """

    METAINFO = dict(dataset_name='sysu_mm01')
    TREE = """  {root}/
    cam1/<identity>/*.jpg     (4 digits, e.g. cam1/0001/0001.jpg)
    cam2/ cam3/ cam4/ cam5/ cam6/
    exp/train_id.txt          (identities, separated by commas)
    exp/val_id.txt
    exp/test_id.txt"""
    MARKERS = ('exp', 'cam1')
    NESTED = ('SYSU-MM01', 'SYSU_MM01', 'sysu-mm01', 'sysu_mm01', 'SYSU', 'sysu')
    HAS_VAL_SPLIT = True

    def __init__(self, data_root: str, mode: str = 'all', merge_val: bool = True, **kwargs) -> None:
        if mode not in GALLERY_CAMERAS:
            raise ValueError(f"mode={mode!r} of {type(self).__name__} is unknown; use 'all' or 'indoor'")
        if kwargs.get('split') == 'val' and merge_val and kwargs.get('val_from_train') is None:
            raise ValueError(
                f"split='val' of {type(self).__name__}: with merge_val=True its identities are trained on; set "
                'merge_val=False here and in the training set, or give both val_from_train=dict(ratio=0.1, seed=0)'
            )
        self.mode = mode
        self.merge_val = merge_val
        super().__init__(data_root=data_root, **kwargs)

    def parse(self) -> list[dict]:
        """Reads the identity lists of the split, then the folders of these identities."""
        root = self.find_root()
        lists = {split: self._lists_of(split) for split in self.splits_to_parse()}
        ids = self._read_lists(root / 'exp', {name for names in lists.values() for name in names})
        pids = {split: [pid for name in names for pid in ids[name]] for split, names in lists.items()}
        folders = {cam: identity_folders(self.require_folder(root / f'cam{cam}')) for cam in range(1, 7)}
        self._warn_of_absent({pid for of_split in pids.values() for pid in of_split}, folders)
        self.name_variant(root, *([f'{self.mode} search'] if 'gallery' in pids else []))
        return [
            dict(
                img_path=str(path),
                pid=pid,
                camid=cam - 1,
                split=split,
                modality='infrared' if cam in INFRARED_CAMERAS else 'visible',
                image_index=index,
            )
            for split in pids
            for pid, cam, index, path in walk_images({c: folders[c] for c in self._cameras_of(split)}, pids[split])
        ]

    def published_counts(self) -> dict[str, Counts]:
        """Returns the counts of the authors' README and papers; the whole gallery was never counted."""
        return dict(
            train=Counts(395, 22258 + 11909) if self.merge_val else Counts(296, None),
            val=Counts(99, None),
            query=Counts(96, 3803),
            gallery=Counts(96 if self.mode == 'all' else 56, None),
        )

    def count_differences(self, records: list[dict]) -> list[str]:
        """Also compares the size of a single-shot gallery."""
        sentences = super().count_differences(records)
        found = len({(record['pid'], record['camid']) for record in records if record['split'] == 'gallery'})
        if found not in (0, SINGLE_SHOT_SIZES[self.mode]):
            sentences.append(
                f'gallery ({self.mode} search): found {found} pairs of an identity and a camera that saw it, expected '
                f'{SINGLE_SHOT_SIZES[self.mode]}'
            )
        return sentences

    def _cameras_of(self, split: str) -> tuple[int, ...]:
        if split == 'query':
            return INFRARED_CAMERAS
        return GALLERY_CAMERAS[self.mode] if split == 'gallery' else (1, 2, 3, 4, 5, 6)

    def _lists_of(self, split: str) -> tuple[str, ...]:
        if split == 'train':
            return ('train', 'val') if self.merge_val else ('train',)
        return ('val',) if split == 'val' else ('test',)

    def _read_lists(self, folder: Path, required: set[str]) -> dict[str, list[int]]:
        """Reads the required lists, and compares them with the others if they exist."""
        ids = {}
        for name in ('train', 'val', 'test'):
            text, mat = folder / f'{name}_id.txt', folder / f'{name}_id.mat'
            if name in required and not text.is_file() and mat.is_file():
                ids[name] = read_ids_of_mat(mat)
            elif name in required or text.is_file():
                ids[name] = read_ids(text, self.tree)
        for first, second in combinations(ids, 2):
            shared = sorted(set(ids[first]) & set(ids[second]))
            if shared:
                raise ValueError(
                    f'{first}_id and {second}_id in {folder} share {len(shared)} identities ({shorten(shared)}), '
                    'which would falsify every result; restore these files from the archive'
                )
        if {'train', 'val'} <= required:
            print_log(
                f'{self.name} | trains on the {len(ids["train"])} identities of train_id and the {len(ids["val"])} of '
                'val_id (merge_val=True)',
                logger='current',
            )
        return ids

    def _warn_of_absent(self, pids: set[int], folders: dict[int, dict[int, Path]]) -> None:
        absent = sorted(pids.difference(*folders.values()))
        if absent:
            print_log(
                f'{self.name} | {len(absent)} identities of the lists have no folder in any camera: {shorten(absent)}',
                logger='current',
                level=logging.WARNING,
            )
