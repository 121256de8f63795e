# Copyright (c) mmreid contributors. All rights reserved.
"""LLCM, the low-light visible-infrared data set."""

import logging
import re
from pathlib import Path

from mmengine.logging import print_log

from mmreid.datasets.readers.camera_folders import identity_folders, walk_images
from mmreid.datasets.readers.id_list import read_ids, shorten
from mmreid.datasets.readers.list_rows import TEST_PID_OFFSET, check_folders, read_labeled_images
from mmreid.datasets.readers.listed_images import require_listed_images
from mmreid.datasets.readers.published_counts import Counts
from mmreid.registry import DATASETS

from .visible_infrared_dataset import VisibleInfraredDataset

QUERY_MODALITIES = dict(i2v='infrared', v2i='visible')
LIST_NAMES = dict(visible='vis', infrared='nir')
# Camera 3 took no infrared test image.
TEST_CAMERAS = dict(visible=(1, 2, 3, 4, 5, 6, 7, 8, 9), infrared=(1, 2, 4, 5, 6, 7, 8, 9))


@DATASETS.register_module()
class LLCM(VisibleInfraredDataset):
    """LLCM (Zhang and Wang, CVPR 2023): 713 training and 351 test identities, 9 cameras that see both modalities.

    The gallery holds all test images of its modality; the metric draws its trials from these. Test records are sorted
    by identity, camera and name, and ``image_index`` is the position of an image in its folder, from 0, so that the
    published draws can be repeated. A camera has the same camid in both modalities.

    Args:
        data_root (str): The folder that holds ``idx``, ``test_vis`` and ``test_nir``, or its parent.
        direction (str): ``'i2v'`` for infrared queries and a visible gallery, ``'v2i'`` for the reverse. Defaults to
            ``'i2v'``.
        camera_pattern (str): Regular expression with one group, searched in the names of the training images: the
            camera, from 1. Defaults to ``r'_c(\\d+)_'``.
        **kwargs: See :class:`BaseReIDDataset`.
    """

    METAINFO = dict(dataset_name='llcm')
    TREE = """  {root}/
    idx/train_vis.txt                 (rows like: vis/0001/0001_c01_s185535_f7010_vis.jpg 0)
    idx/train_nir.txt
    idx/test_id.txt                   (identities, separated by commas)
    vis/ nir/                         (the images of the training lists)
    test_vis/cam1/<identity>/*.jpg    (cam1 to cam9)
    test_nir/cam1/<identity>/*.jpg    (cam1 to cam9, without cam3)"""
    MARKERS = ('idx', 'test_vis')
    NESTED = ('LLCM', 'llcm')

    def __init__(self, data_root: str, direction: str = 'i2v', camera_pattern: str = r'_c(\d+)_', **kwargs) -> None:
        if direction not in QUERY_MODALITIES:
            raise ValueError(f"direction={direction!r} of {type(self).__name__} is unknown; use 'i2v' or 'v2i'")
        self.direction = direction
        self.query_modality = QUERY_MODALITIES[direction]
        self.camera_pattern = re.compile(camera_pattern)
        if self.camera_pattern.groups != 1:
            raise ValueError(f'camera_pattern={camera_pattern!r} of {type(self).__name__} must have one group')
        super().__init__(data_root=data_root, **kwargs)

    def parse(self) -> list[dict]:
        """Reads the training lists, or the folders of the test identities."""
        root = self.find_root()
        splits = self.splits_to_parse()
        self.name_variant(root, *([] if self.split == 'train' else [self.direction]))
        test_ids = self._test_ids(root, required=splits != ('train',))
        records = []
        for split in splits:
            if split == 'train':
                records += self._parse_lists(root, test_ids)
            else:
                records += self._parse_folders(root, split, test_ids)
        return records

    def published_counts(self) -> dict[str, Counts]:
        """Returns the identities of the authors' code; images were only published for all splits together."""
        return dict(train=Counts(713, None), query=Counts(351, None), gallery=Counts(351, None))

    def _test_ids(self, root: Path, required: bool) -> list[int]:
        path = root / 'idx' / 'test_id.txt'
        return read_ids(path, self.tree) if required or path.is_file() else []

    def _parse_lists(self, root: Path, test_ids: list[int]) -> list[dict]:
        records = []
        folders: dict[int, str] = {}
        for modality, short in LIST_NAMES.items():
            path = root / 'idx' / f'train_{short}.txt'
            rows = read_labeled_images(path, self.tree)
            require_listed_images(path, root, rows)
            check_folders(path, rows, folders, depth=2)
            for number, image, label in rows:
                records.append(
                    dict(
                        img_path=str(root / image),
                        pid=label,
                        camid=self._camera_of(image, f'{path} line {number}') - 1,
                        split='train',
                        modality=modality,
                    )
                )
        self._warn_of_test_ids(records, set(test_ids))
        return records

    def _parse_folders(self, root: Path, split: str, test_ids: list[int]) -> list[dict]:
        modality = self.modality_of(split)
        folder = root / f'test_{LIST_NAMES[modality]}'
        cameras = {cam: identity_folders(self.require_folder(folder / f'cam{cam}')) for cam in TEST_CAMERAS[modality]}
        absent = sorted(set(test_ids).difference(*cameras.values()))
        if absent:
            print_log(
                f'{self.name} | {len(absent)} test identities have no folder in any camera of {folder}: '
                f'{shorten(absent)}',
                logger='current',
                level=logging.WARNING,
            )
        return [
            dict(
                img_path=str(path),
                pid=TEST_PID_OFFSET + pid,
                camid=cam - 1,
                split=split,
                modality=modality,
                image_index=index,
            )
            for pid, cam, index, path in walk_images(cameras, test_ids)
        ]

    def _camera_of(self, image: str, place: str) -> int:
        match = self.camera_pattern.search(image.rpartition('/')[2])
        if match is None or not match[1].isdecimal() or int(match[1]) < 1:
            raise ValueError(
                f'{place}: the name of {image} shows no camera from 1; set camera_pattern= to the regular expression '
                f'of your names (now {self.camera_pattern.pattern!r})'
            )
        return int(match[1])

    def _warn_of_test_ids(self, records: list[dict], test_ids: set[int]) -> None:
        """Compares the identities in the file names, as the lists have labels of their own."""
        numbers = (re.match(r'\d+(?=_)', Path(record['img_path']).name) for record in records)
        shared = sorted({int(number[0]) for number in numbers if number} & test_ids)
        if shared:
            print_log(
                f'{self.name} | {len(shared)} identities of idx/test_id.txt are in the names of training images: '
                f'{shorten(shared)}; do not test a model on people that it was trained on',
                logger='current',
                level=logging.WARNING,
            )
