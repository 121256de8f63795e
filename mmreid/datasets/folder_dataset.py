# Copyright (c) mmreid contributors. All rights reserved.
"""Own data from folders: one folder per identity."""

import logging
import re
from pathlib import Path

from mmengine.logging import print_log

from mmreid.datasets.readers.csv_rows import SPLITS
from mmreid.datasets.readers.id_map import map_cameras, map_ids
from mmreid.datasets.readers.image_files import list_folders, list_images
from mmreid.datasets.readers.layout_hints import hint_of_folder
from mmreid.datasets.readers.unread_images import warn_of_unread
from mmreid.registry import DATASETS

from .base_reid_dataset import BaseReIDDataset

SPLIT_NAMES = (*SPLITS, 'training', 'valid', 'validation', 'test', 'testing', 'probe')


@DATASETS.register_module()
class FolderReIDDataset(BaseReIDDataset):
    """One folder per identity, below ``train``, ``query`` and ``gallery``, and optionally ``val``.

    The camera is the folder below the identity if there is one, otherwise what ``camera_pattern`` finds in the file
    name, otherwise one camera for all. If only some images are in a camera's folder, a test set is refused; for
    training, the others become one more camera, with a warning. An identity must have the same folder name in query and
    gallery.

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
    HAS_VAL_SPLIT = True

    def __init__(self, data_root: str, camera_pattern: str | None = None, **kwargs) -> None:
        self.camera_pattern = compile_camera_pattern(camera_pattern)
        super().__init__(data_root=data_root, **kwargs)

    def parse(self) -> list[dict]:
        """Reads the identities of the split."""
        root = self.require_folder(self.data_root)
        found = []
        for split in self.splits_to_parse():
            folder = self.require_folder(self._folder_of(root, split))
            if folder == root:
                refuse_split_folders(root)
            images = walk_identities(folder, self.camera_pattern)
            found += [(path, identity, camera, split) for path, identity, camera in images]
        # Numbered over all splits, so that the same number means the same folder name in each of them.
        folders = [self._folder_of(root, split) for split in SPLITS]
        names = sorted({name for folder in folders if folder.is_dir() for name in list_folders(folder)})
        pids = dict(zip(names, map_ids(names), strict=True))
        self.id_names = {pid: name for name, pid in pids.items()}
        cameras = [camera for _, _, camera, _ in found]
        camids = map_cameras(
            cameras,
            known=cameras,
            places=[str(path) for path, _, _, _ in found],
            remedy='put all images into folders of their camera, or none',
            training=self.split == 'train',
        )
        return [
            dict(
                img_path=str(path),
                pid=pids[identity],
                camid=camid,
                split=split,
                pid_name=identity,
                camid_name=camera or None,
            )
            for (path, identity, camera, split), camid in zip(found, camids, strict=True)
        ]

    @staticmethod
    def _folder_of(root: Path, split: str) -> Path:
        if split == 'train' and not (root / 'train').is_dir() and not (root / 'query').is_dir():
            return root
        return root / split


def refuse_split_folders(folder: Path) -> None:
    """Raises a ValueError if a folder of identities holds folders of splits, which would become people."""
    for name in list_folders(folder):
        if name.lower() in SPLIT_NAMES or name.lower().startswith('bounding_box'):
            raise ValueError(
                f'{folder / name} looks like a split and not like an identity; name the folders of the splits train, '
                'query, gallery and val in lower case, rename the identity if it is one, or use the data set class '
                f'of this layout{hint_of_folder(folder)}'
            )


def compile_camera_pattern(camera_pattern: str | None) -> re.Pattern | None:
    """Compiles a regular expression for the camera in a file name; a ValueError if it does not have one group."""
    if camera_pattern is None:
        return None
    try:
        pattern = re.compile(camera_pattern)
    except re.error as error:
        raise ValueError(f'camera_pattern={camera_pattern!r} is not a regular expression: {error}') from error
    if pattern.groups != 1:
        raise ValueError(f'camera_pattern={camera_pattern!r} has {pattern.groups} groups, but must have one')
    return pattern


def walk_identities(folder: Path, camera_pattern: re.Pattern | None = None) -> list[tuple[Path, str, str]]:
    """Lists the images of a folder with one folder per identity, which may hold one per camera.

    Args:
        folder (Path): The folder.
        camera_pattern (re.Pattern, optional): Finds the camera in the name of an image outside a camera's folder.
            Defaults to None.

    Returns:
        list[tuple[Path, str, str]]: Image, identity, and camera or ''; in name order.

    Raises:
        ValueError: If the pattern does not match a name.
    """
    images: list[tuple[Path, str, str]] = []
    strays = [folder / name for name in list_images(folder)]
    empty, folders = [], [folder]
    for identity in list_folders(folder):
        inside, before = folder / identity, len(images)
        cameras = list_folders(inside)
        images += [(inside / name, identity, _camera_of(inside / name, camera_pattern)) for name in list_images(inside)]
        for camera in cameras:
            images += [(inside / camera / name, identity, camera) for name in list_images(inside / camera)]
            strays += [inside / camera / name for name in list_folders(inside / camera)]
        folders += [inside, *(inside / camera for camera in cameras)]
        if len(images) == before:
            empty.append(inside)
    warn_of_unread(folder, folders)
    if empty:
        print_log(
            f'{folder}: {len(empty)} folders of identities hold no image that is read and are left out, the first is '
            f'{empty[0]}',
            logger='current',
            level=logging.WARNING,
        )
    if strays:
        print_log(
            f'{folder}: {len(strays)} images or folders do not fit the layout identity/image or '
            f'identity/camera/image and are left out, e.g. {strays[0]}',
            logger='current',
            level=logging.WARNING,
        )
    return images


def _camera_of(path: Path, pattern: re.Pattern | None) -> str:
    if pattern is None:
        return ''
    match = pattern.search(path.name)
    if match is None:
        raise ValueError(
            f'{path} shows no camera: camera_pattern={pattern.pattern!r} does not match its name; rename the file or '
            'correct the pattern'
        )
    return match[1]
