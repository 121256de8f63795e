# Copyright (c) mmreid contributors. All rights reserved.
"""Frames of a camera: a folder of numbered images, or a video."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from mmreid.datasets.transforms.loading import CorruptImageError, read_image

VIDEOS = ('.avi', '.mp4', '.mkv', '.mov', '.m4v', '.mpg', '.mpeg', '.webm', '.ts', '.wmv')


class Frames(ABC):
    """The frames of one sequence, numbered from 1 or higher.

    Attributes:
        path (Path): The folder or the video.
        first (int): Number of the first frame.
    """

    path: Path
    first: int

    @abstractmethod
    def __contains__(self, number: int) -> bool:
        """Whether there is a frame with this number."""

    @abstractmethod
    def read(self, numbers: Sequence[int], max_pixels: int | None) -> Iterator[Callable[[], np.ndarray]]:
        """Yields for each number, in rising order, a function that returns the frame (H, W, 3), BGR, uint8.

        The functions may run in other threads.

        Raises:
            CorruptImageError: Here or in a function, if a frame cannot be read.
        """


class ImageFrames(Frames):
    """A folder of images.

    Args:
        path (Path): The folder.
        images (dict[int, Path]): Image of each frame.
    """

    def __init__(self, path: Path, images: dict[int, Path]) -> None:
        self.path, self.images, self.first = path, images, min(images)

    def __contains__(self, number: int) -> bool:
        return number in self.images

    def read(self, numbers: Sequence[int], max_pixels: int | None) -> Iterator[Callable[[], np.ndarray]]:
        for number in numbers:
            yield lambda path=self.images[number]: read_image(path, max_pixels)


class VideoFrames(Frames):
    """A video that OpenCV can decode. Frames are decoded from the first to the last, without jumps.

    Args:
        path (Path): The video.

    Attributes:
        rate (float | None): Frames per second; None if the file does not state it.
        length (int): Number of frames.

    Raises:
        CorruptImageError: If it cannot be opened or holds no frame.
    """

    first = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        video = self._open()
        rate = video.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < math.inf else None
        # Files often state a wrong length, so the frames are counted; that takes a part of the time of reading them.
        self.length = 0
        while video.grab():
            self.length += 1
        video.release()
        if not self.length:
            raise CorruptImageError(f'video {path} has no frame that OpenCV can decode; convert it, e.g. to MP4')

    def __contains__(self, number: int) -> bool:
        return 1 <= number <= self.length

    def read(self, numbers: Sequence[int], max_pixels: int | None) -> Iterator[Callable[[], np.ndarray]]:
        video = self._open()
        try:
            width, height = (int(video.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
            if max_pixels is not None and width * height > max_pixels:
                raise CorruptImageError(
                    f'video {self.path} has frames of {width} x {height} pixels, more than {max_pixels}; raise '
                    '--max-pixels, or make it smaller'
                )
            at = 0
            for number in numbers:
                while at < number and video.grab():
                    at += 1
                found, image = video.retrieve() if at == number else (False, None)
                if not found:
                    raise CorruptImageError(f'frame {number} of video {self.path} cannot be decoded; convert the video')
                yield lambda image=image: image
        finally:
            video.release()

    def _open(self) -> cv2.VideoCapture:
        if not self.path.is_file():
            raise FileNotFoundError(f'the video {self.path} does not exist')
        video = cv2.VideoCapture(str(self.path))
        if not video.isOpened():
            raise CorruptImageError(f'video {self.path} cannot be opened by OpenCV; convert it, e.g. to MP4 with H.264')
        return video


def is_video(path: Path) -> bool:
    """Whether a file's name is that of a video."""
    return path.suffix.lower() in VIDEOS
