# Copyright (c) mmreid contributors. All rights reserved.
"""MSMT17 in both of its releases."""

import os
import re
from pathlib import Path

from mmengine.logging import print_log

from mmreid.datasets.readers.layout_hints import hint_of_folder, hint_of_name
from mmreid.datasets.readers.list_rows import TEST_PID_OFFSET, check_folders, read_labeled_images
from mmreid.datasets.readers.listed_images import require_listed_images
from mmreid.datasets.readers.published_counts import Counts
from mmreid.registry import DATASETS

from .base_reid_dataset import BaseReIDDataset

RELEASES = dict(V1=('train', 'test'), V2=('mask_train_v2', 'mask_test_v2'))
NESTED = ('MSMT17_V1', 'MSMT17_V2', 'MSMT17', 'msmt17')
_NAME = re.compile(r'\d+_\d+_(\d+)_')


@DATASETS.register_module()
class MSMT17(BaseReIDDataset):
    """MSMT17 (Wei et al., CVPR 2018): 1,041 training and 3,060 test identities, 15 cameras.

    Reads the list files and the images of release V1 (``train``, ``test``) or V2 (``mask_train_v2``, ``mask_test_v2``:
    faces masked); the log says which. Names are ``PPPP_NNN_CC_MMDDpartofday_...jpg``; the third field is the camera.
    Day and part of day are not a time in seconds, so there is no time stamp. Test identities are the listed label
    + 10,000, as training and test labels both start at 0.

    Args:
        data_root (str): The folder that holds the list files, or a parent of ``MSMT17_V1`` or ``MSMT17_V2``.
        variant (str, optional): ``'V1'`` or ``'V2'``, if both exist. Defaults to None: the one that is found.
        merge_val (bool): Whether ``list_val.txt`` is part of the training set, as in the published 32,621 images. Its
            identities are those of ``list_train.txt``, so it is not a hold-out. Defaults to True.
        **kwargs: See :class:`BaseReIDDataset`.
    """

    METAINFO = dict(dataset_name='msmt17')
    TREE = """  {root}/
    list_train.txt
    list_val.txt  (not needed with merge_val=False)
    list_query.txt
    list_gallery.txt
    train/ and test/ (V1), or mask_train_v2/ and mask_test_v2/ (V2)"""

    def __init__(self, data_root: str, variant: str | None = None, merge_val: bool = True, **kwargs) -> None:
        if variant not in (None, *RELEASES):
            raise ValueError(f"variant='{variant}' of {type(self).__name__} is unknown; use 'V1' or 'V2'")
        self._wanted_variant = variant
        self.merge_val = merge_val
        super().__init__(data_root=data_root, **kwargs)

    def parse(self) -> list[dict]:
        """Reads the list files of the split."""
        root, self.variant = self.find_release()
        records = []
        for split in self.splits_to_parse():
            folder = root / RELEASES[self.variant][0 if split == 'train' else 1]
            records += self._read_list(root / f'list_{split}.txt', folder, split)
            if split == 'train' and self.merge_val:
                records += self._val_records(root, folder, {record['img_path']: record['pid'] for record in records})
        if 'train' in self.splits_to_parse() and not self.merge_val:
            print_log(
                f'{self.name} ({self.variant}) | list_val.txt is left out (merge_val=False); the published 32,621 '
                'training images include it',
                logger='current',
            )
        return records

    def published_counts(self) -> dict[str, Counts]:
        """Returns the counts of the authors, unless ``name`` says that this is other data."""
        if self.name != self.METAINFO['dataset_name']:
            return {}
        images = 32_621 if self.merge_val else 30_248
        return dict(train=Counts(1_041, images), query=Counts(3_060, 11_659), gallery=Counts(None, 82_161))

    def find_release(self) -> tuple[Path, str]:
        """Finds the folder of the list files, and which release it is; raises an error if that is not clear."""
        top = self.require_folder(self.data_root)
        needed = {0 if split == 'train' else 1 for split in self.splits_to_parse()}
        found: dict[str, Path] = {}
        for inner in ('', *NESTED, *(f'{first}/{second}' for first in NESTED for second in NESTED)):
            for variant, folders in RELEASES.items():
                if all((top / inner / folders[side]).is_dir() for side in needed):
                    found.setdefault(variant, top / inner)
        variant = self._wanted_variant or next(iter(found), None)
        if variant not in found:
            raise FileNotFoundError(self._not_found(top, found))
        if self._wanted_variant is None and len(found) > 1:
            raise ValueError(
                f"{type(self).__name__} found V1 in {found['V1']} and V2 in {found['V2']}; set variant='V1' or "
                "variant='V2'"
            )
        return found[variant], variant

    def _not_found(self, top: Path, found: dict[str, Path]) -> str:
        if (top / 'bounding_box_test').is_dir() or (top / 'bounding_box_train').is_dir():
            return (
                f"{top} holds MSMT17 converted to the layout of Market-1501; read it with type='Market1501', "
                "name='msmt17', distractor_pids=() (identity 0 is an ordinary one) and a pattern= that fits its file "
                r"names, e.g. pattern=r'(?P<pid>\d+)_c(?P<camid>\d+)'"
            )
        if found:
            variant, folder = next(iter(found.items()))
            return (
                f'{type(self).__name__} found the folders of {variant} in {folder}, but variant='
                f"'{self._wanted_variant}' was asked for; set variant='{variant}' or another data_root"
            )
        return (
            f'{type(self).__name__} found neither {RELEASES["V1"][0]}/ and {RELEASES["V1"][1]}/ nor '
            f'{RELEASES["V2"][0]}/ and {RELEASES["V2"][1]}/; set data_root (now {self.data_root!r}) to a folder with '
            f'this layout:\n{self.tree}{hint_of_folder(top)}'
        )

    def _read_list(self, path: Path, folder: Path, split: str) -> list[dict]:
        has_lists = any((path.parent / f'list_{name}.txt').is_file() for name in ('train', 'query', 'gallery'))
        rows = read_labeled_images(path, self.tree + ('' if has_lists else hint_of_folder(path.parent)))
        require_listed_images(path, folder, rows)
        check_folders(path, rows, {}, depth=1)
        prefix = os.path.join(folder, '')
        records = []
        for number, image, label in rows:
            name = image.rpartition('/')[2]
            match = _NAME.match(name)
            if match is None:
                raise ValueError(
                    f'{path} line {number}: {name} is not named like 0000_000_01_0303morning_0008_0.jpg, with the '
                    f'camera in the third field{hint_of_name(name)}; correct the row or use the data set class that '
                    'it belongs to'
                )
            if int(match[1]) == 0:
                raise ValueError(f'{path} line {number}: {name} has camera 0, but cameras count from 1; correct it')
            pid = label if split == 'train' else label + TEST_PID_OFFSET
            records.append(dict(img_path=prefix + image, pid=pid, camid=int(match[1]) - 1, split=split))
        return records

    def _val_records(self, root: Path, folder: Path, known: dict[str, int]) -> list[dict]:
        """Reads the records of list_val.txt that are not in list_train.txt."""
        rows = self._read_list(root / 'list_val.txt', folder, 'train')
        for record in rows:
            if known.get(record['img_path'], record['pid']) != record['pid']:
                raise ValueError(
                    f'{record["img_path"]} has the label {record["pid"]} in list_val.txt and '
                    f'{known[record["img_path"]]} in list_train.txt; keep the right row only'
                )
        records = [record for record in rows if record['img_path'] not in known]
        again = len(rows) - len(records)
        print_log(
            f'{self.name} ({self.variant}) | {len(records)} images of list_val.txt are merged into the training set '
            f'(merge_val=True){f", {again} are in list_train.txt already" if again else ""}',
            logger='current',
        )
        return records
