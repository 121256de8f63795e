# Copyright (c) mmreid contributors. All rights reserved.
"""Shows a training image as another camera of the same data set would have taken it."""

import logging
import os.path as osp
import re
from collections.abc import Sequence

import numpy as np
from mmengine.logging import print_log

from mmreid.datasets.readers.image_files import list_images
from mmreid.registry import TRANSFORMS

from .loading import MAX_PIXELS, check_max_pixels, read_image
from .prepared import PreparedTransform

# After the stem of the real image: its own camera and the imitated one, or only the latter; both from 1.
STYLE_NAME = re.compile(r'(?P<stem>.+)_fake_(?:(?P<own>\d+)to)?(?P<style>\d+)')
Styles = dict[str, dict[int, str]]  # by stem of the real image and imitated camera, from 0: name of the file


@TRANSFORMS.register_module()
class LoadCamStyleImage(PreparedTransform):
    """Loads an image in the style of a camera that is drawn uniformly; its own camera gives the real image.

    The images of other styles are in a folder of their own and are called ``<stem>_fake_<a>to<b>.jpg`` (Market-1501,
    DukeMTMC-reID) or ``<stem>_fake_<b>.jpg`` (MSMT17, StarGAN), where a is the camera of the image and b the imitated
    one, both from 1. :meth:`prepare`, which ``SourceTargetDataset`` calls, checks the folder before the training. If a
    data set has a single camera, as without camera ids, the real image is drawn as often as each of its styles, and
    each image may lack one style, that of its own camera.

    **Required Keys:**

    - img_path
    - style_camid, or camid if that is missing

    **Added Keys:**

    - img (np.ndarray): Shape (H, W, 3), BGR, uint8.
    - img_shape (tuple[int, int])
    - ori_shape (tuple[int, int])
    - styled (bool): Whether another camera's style was drawn.

    Args:
        folder (str, optional): Folder of the styled images. Defaults to None: the folder of the real images with
            ``_camstyle`` after its name, such as ``bounding_box_train_camstyle``.
        on_missing (str): What to do if images lack styles: ``'raise'`` stops before the training with the counts,
            ``'real'`` takes the real images instead and warns with the counts. Defaults to ``'raise'``.
        max_pixels (int, optional): See :class:`LoadReIDImage`. Defaults to 64 million.
    """

    def __init__(
        self, folder: str | None = None, on_missing: str = 'raise', max_pixels: int | None = MAX_PIXELS
    ) -> None:
        if on_missing not in ('raise', 'real'):
            raise ValueError(f"on_missing='{on_missing}' of LoadCamStyleImage is unknown; use 'raise' or 'real'")
        self.folder = folder
        self.on_missing = on_missing
        self.max_pixels = check_max_pixels(max_pixels)
        self._folders: dict[str, Styles] = {}
        self._cameras: list[int] = []
        self._has_cameras = True

    def prepare(self, records: Sequence[dict]) -> None:
        """Finds the styled images of all records.

        Args:
            records (Sequence[dict]): The records, with the required keys.

        Raises:
            FileNotFoundError: If the folder or styled images are missing.
            ValueError: If a file has another form of name or names another camera, or all belong to other images.
        """
        self._folders = {}
        for record in records:
            folder, stem = self._place(record['img_path'])
            if folder not in self._folders:
                self._folders[folder] = _read_folder(folder)
        cameras = sorted({camera_of(record) for record in records})
        self._has_cameras = len(cameras) > 1
        if not self._has_cameras:
            cameras = sorted({style for files in self._folders.values() for names in files.values() for style in names})
        self._cameras = cameras
        self._check_owners(records)
        self._check_missing(records)

    def transform(self, results: dict) -> dict:
        """Draws a camera and loads the image."""
        if not self._cameras:
            raise RuntimeError(
                'LoadCamStyleImage does not know the cameras: SourceTargetDataset calls its prepare() if it is in the '
                'pipeline of the target; elsewhere, call it yourself with all records'
            )
        options = self._options(results)
        name = options[np.random.randint(len(options))]
        path = results['img_path']
        results['img'] = read_image(osp.join(self._place(path)[0], name) if name else path, self.max_pixels)
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        results['styled'] = name is not None
        return results

    def _options(self, record: dict) -> list[str | None]:
        """Lists what may be drawn: one styled file per other camera, and None for the real image."""
        folder, stem = self._place(record['img_path'])
        names = self._folders[folder].get(stem, {})
        own = camera_of(record) if self._has_cameras else None
        styles = [names.get(camera) for camera in self._cameras if camera != own]
        if not self._has_cameras and len(styles) > 1 and styles.count(None) == 1:
            styles.remove(None)  # its own camera is unknown, but it is the one whose style was not made
        return [None, *styles]

    def _place(self, path: str) -> tuple[str, str]:
        """Returns the folder of the styled copies of an image, and how their names begin."""
        parent, name = osp.split(path)
        return self.folder or f'{parent}_camstyle', osp.splitext(name)[0]

    def _check_owners(self, records: Sequence[dict]) -> None:
        """Compares the files with the images that they were made from."""
        known: dict[str, set[str]] = {folder: set() for folder in self._folders}
        for record in records:
            folder, stem = self._place(record['img_path'])
            known[folder].add(stem)
            for style, name in self._folders[folder].get(stem, {}).items():
                own = STYLE_NAME.fullmatch(osp.splitext(name)[0])['own']
                if own and self._has_cameras and int(own) - 1 != camera_of(record):
                    raise ValueError(
                        f'{osp.join(folder, name)} says that its image is of camera {own}, but the data set says '
                        f'camera {camera_of(record) + 1}; name styled images <stem>_fake_<own>to{style + 1}'
                    )
        for folder, files in self._folders.items():
            foreign = sorted(set(files) - known[folder])
            if len(foreign) == len(files):
                raise ValueError(
                    f'{folder} holds styled copies of {len(foreign)} images, e.g. {foreign[0]}, but of none of the '
                    f'{len(known[folder])} training images beside it; it belongs to another data set'
                )
            if foreign:
                _warn(f'{folder} holds styled copies of {len(foreign)} images that are not used, e.g. {foreign[0]}')

    def _check_missing(self, records: Sequence[dict]) -> None:
        """Counts the styled copies that are missing."""
        lacking = {record['img_path']: self._options(record)[1:].count(None) for record in records}
        lacking = {path: count for path, count in lacking.items() if count}
        if not lacking:
            return
        first = next(iter(lacking))
        sentence = (
            f'{len(lacking)} of {len(records)} training images lack styled copies in {self._place(first)[0]}, '
            f'{sum(lacking.values())} copies in all, {lacking[first]} of them of {osp.basename(first)}'
        )
        if self.on_missing == 'raise':
            raise FileNotFoundError(
                f"{sentence}; complete the folder, or show the real images instead with on_missing='real' of "
                'LoadCamStyleImage'
            )
        _warn(f'{sentence}; the real images are shown instead')

    def __repr__(self) -> str:
        return f'LoadCamStyleImage(folder={self.folder!r}, on_missing={self.on_missing!r})'


def camera_of(record: dict) -> int:
    """Returns the camera of a record, from 0, as its own data set counts it."""
    return record['style_camid'] if 'style_camid' in record else record['camid']


def _read_folder(folder: str) -> Styles:
    if not osp.isdir(folder):
        raise FileNotFoundError(
            f'the folder of camera-style images {folder} does not exist; put them there, set folder= of '
            'LoadCamStyleImage, or use LoadColorStyleImage, which needs no folder but is not the published setting'
        )
    names = list_images(folder)
    if not names:
        raise FileNotFoundError(f'the folder of camera-style images {folder} holds no image; was it unpacked fully?')
    files: Styles = {}
    for name in names:
        match = STYLE_NAME.fullmatch(osp.splitext(name)[0])
        if match is None or int(match['style']) < 1:
            raise ValueError(
                f'{osp.join(folder, name)} is not the name of a camera-style image; it must look like '
                '0002_c1s1_000451_03_fake_1to2.jpg or 0002_c1s1_000451_03_fake_2.jpg, cameras counted from 1'
            )
        files.setdefault(match['stem'], {})[int(match['style']) - 1] = name
    return files


def _warn(sentence: str) -> None:
    print_log(sentence, logger='current', level=logging.WARNING)
