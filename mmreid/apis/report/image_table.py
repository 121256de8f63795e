# Copyright (c) mmreid contributors. All rights reserved.
"""The images that a report shows: small copies in its folder, or links to the files."""

import os
from pathlib import Path
from urllib.parse import quote

import cv2

from mmreid.datasets.transforms.loading import CorruptImageError, read_image
from mmreid.utils.progress import track

from .report_folder import FILES

SIDE = 160  # most pixels of a side of a copy
QUALITY = 85


class ImageTable:
    """Numbers images in the order in which they are first shown, and copies them.

    Args:
        folder (Path): The folder of the report.
        link (bool): Link to the files instead of copying them.
        max_pixels (int | None): Most pixels of an image; None for no limit.
    """

    def __init__(self, folder: Path, link: bool, max_pixels: int | None) -> None:
        self.folder, self.link, self.max_pixels = folder, link, max_pixels
        self.numbers: dict[str, int] = {}

    def add(self, path: str) -> int:
        """Returns the number of an image."""
        return self.numbers.setdefault(path, len(self.numbers))

    def write(self) -> tuple[list[list[str | None]], list[str]]:
        """Copies the images.

        Returns:
            tuple[list[list[str | None]], list[str]]: Address (None where the image cannot be shown) and file of each
            image; and the files that are missing or cannot be read.
        """
        table, lost = [], []
        for path, number in track(list(self.numbers.items()), 'copying images'):
            address = self._link(path) if self.link else self._copy(path, f'{FILES}/{number:06d}.jpg')
            table.append([address, path])
            if address is None:
                lost.append(path)
        return table, lost

    def _link(self, path: str) -> str | None:
        if not os.path.isfile(path):
            return None
        try:
            relative = os.path.relpath(path, self.folder)
        except ValueError:  # another drive of Windows
            return Path(path).absolute().as_uri()
        return quote(os.fsencode(Path(relative).as_posix()))

    def _copy(self, path: str, address: str) -> str | None:
        if not os.path.isfile(path):
            return None
        try:
            pixels = read_image(path, self.max_pixels)
        except (CorruptImageError, OSError):
            return None
        scale = min(1.0, SIDE / max(pixels.shape[:2]))
        size = [max(1, round(side * scale)) for side in pixels.shape[1::-1]]
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        encoded = cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
        (self.folder / address).write_bytes(encoded.tobytes())
        return address
