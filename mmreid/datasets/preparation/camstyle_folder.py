# Copyright (c) mmreid contributors. All rights reserved.
"""A folder of camera-style images, which may be filled in several runs."""

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mmreid.utils.atomic_io import TMP_SUFFIX, atomic_write, remove_stale_temporaries
from mmreid.utils.json_text import parse_json
from mmreid.utils.run_lock import LOCK_NAME

MARKER = 'camstyle.json'  # says what the images of the folder were made with
FOLDER = 'bounding_box_train_camstyle'


class CamStyleFolder:
    """Writes images under the names that ``LoadCamStyleImage`` reads.

    Files are never incomplete, so existing ones need not be made again.

    Args:
        folder (str | Path): The folder.
        pairs (bool): Whether names also state the camera of the image: ``<stem>_fake_<a>to<b>.jpg`` instead of
            ``<stem>_fake_<b>.jpg``. Defaults to False.
        own (bool): Whether to make the style of an image's own camera as well. Defaults to False.
        quality (int): JPEG quality, 1 to 100. Defaults to 95.

    Raises:
        ValueError: If the quality is out of range.
    """

    def __init__(self, folder: str | Path, pairs: bool = False, own: bool = False, quality: int = 95) -> None:
        if not 1 <= quality <= 100:
            raise ValueError(f'the JPEG quality {quality} must be from 1 to 100')
        self.folder = Path(folder)
        self.pairs = pairs
        self.own = own
        self.quality = quality

    def name(self, record: dict, camid: int) -> str:
        """Names the image of a record (``img_path``, ``camid``) in the style of camera ``camid``, from 0."""
        before = f'{record["camid"] + 1}to' if self.pairs else ''
        return f'{Path(record["img_path"]).stem}_fake_{before}{camid + 1}.jpg'

    def open(self, facts: dict) -> None:
        """Makes the folder, or continues one that was made with the same ``facts`` (as JSON), see :meth:`check`.

        Only one process may write to a folder, see :func:`mmreid.utils.run_lock.run_lock`.
        """
        self.check(facts)
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_stale_temporaries(self.folder)
        marker = self.folder / MARKER
        if not marker.is_file():
            atomic_write(marker, json.dumps(self._all(facts), indent=2) + '\n')

    def check(self, facts: dict) -> None:
        """Refuses a folder that :meth:`open` would refuse, without changing anything.

        Args:
            facts (dict): What the images are made with, as JSON.

        Raises:
            FileExistsError: If the folder holds images that were made otherwise, or other files.
        """
        marker = self.folder / MARKER
        if marker.is_file():
            wanted, found = self._all(facts), _read(marker)
            different = sorted(key for key in {*wanted, *found} if wanted.get(key) != found.get(key))
            if different:
                raise FileExistsError(
                    f'{self.folder} holds images that were made with another {", ".join(different)} (see {MARKER} '
                    'there); give another folder with --out, or remove this one'
                )
        elif self.folder.exists() and (not self.folder.is_dir() or any(map(_is_foreign, self.folder.iterdir()))):
            raise FileExistsError(
                f'{self.folder} has content that this tool did not write, so it is kept; give another folder with --out'
            )

    def _all(self, facts: dict) -> dict:
        return {**facts, 'pairs': self.pairs, 'quality': self.quality}

    def missing(self, records: Sequence[dict], cameras: Sequence[int]) -> dict[int, list[int]]:
        """Returns the missing ones of ``cameras`` (from 0) by index of the record; complete records are left out."""
        names = {entry.name for entry in os.scandir(self.folder)}
        lacking = {
            index: [
                camid
                for camid in cameras
                if (self.own or camid != record['camid']) and self.name(record, camid) not in names
            ]
            for index, record in enumerate(records)
        }
        return {index: camids for index, camids in lacking.items() if camids}

    def write(self, record: dict, camid: int, image: np.ndarray) -> None:
        """Writes the image, (H, W, 3) BGR uint8, of a record in the style of camera ``camid``; thread-safe."""
        _, content = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        atomic_write(self.folder / self.name(record, camid), content.tobytes())


def default_folder(records: Sequence[dict], data_root: str) -> Path:
    """Returns the folder where the camera-style images of a data set belong.

    That is the sibling of the images' folder, which ``LoadCamStyleImage`` reads by default. If the images are in
    several folders, it is a folder in ``data_root``, to be set as ``folder`` of the transform. Two images of
    the same name raise a ValueError, as their styles would have the same name too.
    """
    places = defaultdict(list)
    for record in records:
        places[Path(record['img_path']).stem].append(record['img_path'])
    twice = next((paths for paths in places.values() if len(paths) > 1), None)
    if twice:
        raise ValueError(
            f'{twice[0]} and {twice[1]} have the same name, so their styles would overwrite each other in one folder; '
            'rename one'
        )
    parents = {os.path.dirname(record['img_path']) for record in records}
    return Path(f'{parents.pop()}_camstyle') if len(parents) == 1 else Path(data_root) / FOLDER


def _is_foreign(path: Path) -> bool:
    """Returns whether a file is none of those that a run leaves if it is killed at its very start."""
    return path.name != LOCK_NAME and not (path.name.startswith(MARKER) and path.name.endswith(TMP_SUFFIX))


def _read(marker: Path) -> dict:
    try:
        content = parse_json(marker.read_text(encoding='utf-8'))
        if not isinstance(content, dict):
            raise ValueError('it holds no entries')
        return content
    except ValueError as error:
        raise FileExistsError(
            f'{marker} cannot be read, so it is unknown what {marker.parent} holds; give another folder with --out'
        ) from error
