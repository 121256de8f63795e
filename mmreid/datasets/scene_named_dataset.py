# Copyright (c) mmreid contributors. All rights reserved.
"""What rendered data sets have in common whose files are named by identity, scene, camera and frame."""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import print_log

from mmreid.datasets.readers.image_files import list_images
from mmreid.datasets.readers.layout_hints import hint_of_folder, hint_of_name

from .base_reid_dataset import BaseReIDDataset

FRAMES_PER_SECOND = 24.0
_NAME = re.compile(r'(-?\d+)_s(\d+)_c(\d+)_f(\d+)')


def number_cameras(offsets: Sequence[int], total: int) -> dict[tuple[int, int], int]:
    """Numbers the cameras of all scenes consecutively.

    Args:
        offsets (Sequence[int]): Number of the first camera of each scene, ascending.
        total (int): Number of cameras.

    Returns:
        dict[tuple[int, int], int]: The 0-based camera id of each (scene, camera of the scene).
    """
    ends = [min(end for end in (*offsets, total) if end > start) for start in offsets]
    return {
        (scene, camera): start + camera
        for scene, (start, end) in enumerate(zip(offsets, ends, strict=True))
        for camera in range(end - start)
    }


class SceneNamedDataset(BaseReIDDataset):
    """Base of data sets with names ``PPPPPP_sSS_cCC_fFFFFFF.jpg``: identity, scene, camera of the scene, frame.

    The time stamp is the frame at 24 fps, after the frames of earlier scenes. Junk (identity -1) is dropped.

    Args:
        data_root (str): Folder of the data set.
        **kwargs: See :class:`BaseReIDDataset`.
    """

    EXAMPLE = '000000_s00_c00_f000264.jpg'
    #: Number of the first camera of each scene, and of all cameras.
    CAMERA_OFFSETS: tuple[int, ...]
    NUM_CAMERAS: int
    #: First frame of each scene.
    FRAME_OFFSETS: tuple[int, ...]

    def folder_of(self, split: str) -> Path:
        """Finds the existing folder with the images of ``'train'``, ``'query'`` or ``'gallery'``."""
        raise NotImplementedError(f'{type(self).__name__} must implement folder_of()')

    def parse(self) -> list[dict]:
        """Reads the folders of the split."""
        folders = {split: self.folder_of(split) for split in self.splits_to_parse()}
        return [record for split, folder in folders.items() for record in self._read_folder(folder, split)]

    def _read_folder(self, folder: Path, split: str) -> list[dict]:
        cameras = number_cameras(self.CAMERA_OFFSETS, self.NUM_CAMERAS)
        prefix = os.path.join(folder, '')
        records, scenes, junk = [], set(), 0
        for name in list_images(folder):
            match = _NAME.match(name)
            if match is None:
                raise ValueError(
                    f'{prefix}{name} is not named like {self.EXAMPLE} (identity, scene, camera, frame)'
                    f'{hint_of_name(name)}; rename or remove it, or use the data set class that it belongs to'
                )
            pid, scene, camera, frame = map(int, match.groups())
            if (scene, camera) not in cameras:
                raise ValueError(f'{prefix}{name}: {self._no_such_camera(scene, camera, cameras)}')
            if pid == -1:
                junk += 1
                continue
            scenes.add(scene)
            seconds = (self.FRAME_OFFSETS[scene] + frame) / FRAMES_PER_SECOND
            records.append(
                dict(img_path=prefix + name, pid=pid, camid=cameras[scene, camera], split=split, timestamp=seconds)
            )
        if not records:
            raise ValueError(
                f"{folder} holds no image, so split='{split}' is empty; the images must lie directly in it. Was the "
                f'archive unpacked fully? Expected this layout:\n{self.tree}{hint_of_folder(folder)}'
            )
        self._warn_of_shared_cameras(scenes, split)
        if junk:
            print_log(f'{self.name} | {split}: {junk} junk images (identity -1) dropped', logger='current')
        return records

    def _warn_of_shared_cameras(self, scenes: set[int], split: str) -> None:
        starts = [self.CAMERA_OFFSETS[scene] for scene in scenes]
        if len(set(starts)) < len(starts):
            print_log(
                f'{self.name} | {split}: of the scenes {sorted(scenes)} some have the same camera ids, as the table of '
                'the authors gives them the same first camera',
                logger='current',
                level=logging.WARNING,
            )

    def _no_such_camera(self, scene: int, camera: int, cameras: dict[tuple[int, int], int]) -> str:
        if scene >= len(self.CAMERA_OFFSETS):
            return f'scene {scene} is unknown, {self.name} has scenes 0 to {len(self.CAMERA_OFFSETS) - 1}'
        last = max(known for of_scene, known in cameras if of_scene == scene)
        return f'camera {camera} is unknown, scene {scene} of {self.name} has cameras 0 to {last}'
