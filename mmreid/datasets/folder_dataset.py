# Copyright (c) mmreid contributors. All rights reserved.
"""Own data from folders: one folder per identity."""

import logging
import re
from pathlib import Path

from mmengine.logging import print_log

from mmreid.registry import DATASETS

from .base_reid_dataset import BaseReIDDataset
from .id_map import map_ids
from .image_files import list_folders, list_images


@DATASETS.register_module()
class FolderReIDDataset(BaseReIDDataset):
    """One folder per identity, below ``train``, ``query`` and ``gallery``.

    The camera is the folder below the identity where there is one, else what ``camera_pattern`` finds in the file
    name, else one camera for all. The same identity must have the same folder name in query and gallery.

    Args:
        data_root (str): The folder that holds the split folders. For training it may hold the identities directly.
        camera_pattern (str, optional): Regular expression with one group, searched in the file name, e.g.
            ``r'_cam(\\w+)_'``. Defaults to None.
        **kwargs: See :class:`BaseReIDDataset`.
    """

    METAINFO = dict(dataset_name='folder')
    TREE = """  {root}/
    train/<identity>/*.jpg
    query/<identity>/*.jpg
    gallery/<identity>/*.jpg
  (an identity's folder may hold one folder per camera; <identity> is any name)"""

    def __init__(self, data_root: str, camera_pattern: str | None = None, **kwargs) -> None:
        self.camera_pattern = re.compile(camera_pattern) if camera_pattern else None
        if self.camera_pattern is not None and self.camera_pattern.groups != 1:
            raise ValueError(f'camera_pattern={camera_pattern!r} of {type(self).__name__} must have one group')
        super().__init__(data_root=data_root, **kwargs)

    def parse(self) -> list[dict]:
        """Walks the identities of the split."""
        root = self.require_folder(self.data_root)
        splits = self.splits_to_parse()
        found = []
        for split in splits:
            folder = root / split
            if split == 'train' and not folder.is_dir() and not (root / 'query').is_dir():
                folder = root
            identities = list_folders(self.require_folder(folder))
            for identity in identities:
                found += [(path, identity, cam, split) for path, cam in self._images(folder / identity)]
            self._warn_of_strays(folder, identities)
        pids = map_ids([identity for _, identity, _, _ in found])
        camids = map_ids([cam for _, _, cam, _ in found], dense=True)
        return [
            dict(img_path=str(path), pid=pid, camid=camid, split=split)
            for (path, _, _, split), pid, camid in zip(found, pids, camids, strict=True)
        ]

    def _warn_of_strays(self, folder: Path, identities: list[str]) -> None:
        """Names images that belong to no identity and folders that are too deep, as they are left out."""
        strays = [folder / name for name in list_images(folder)]
        for identity in identities:
            for camera in list_folders(folder / identity):
                strays += [folder / identity / camera / name for name in list_folders(folder / identity / camera)]
        if strays:
            print_log(
                f'{self.name} | {len(strays)} images or folders do not fit the layout identity/image or '
                f'identity/camera/image and are left out, e.g. {strays[0]}',
                logger='current',
                level=logging.WARNING,
            )

    def _images(self, folder: Path) -> list[tuple[Path, str]]:
        images = [(folder / name, self._camera_of(folder / name)) for name in list_images(folder)]
        for camera in list_folders(folder):
            images += [(folder / camera / name, camera) for name in list_images(folder / camera)]
        return images

    def _camera_of(self, path: Path) -> str:
        if self.camera_pattern is None:
            return '0'
        match = self.camera_pattern.search(path.name)
        if match is None:
            raise ValueError(
                f'{path} shows no camera: camera_pattern={self.camera_pattern.pattern!r} does not match its name; '
                'rename the file or correct the pattern'
            )
        return match[1]
