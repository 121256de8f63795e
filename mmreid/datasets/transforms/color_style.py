# Copyright (c) mmreid contributors. All rights reserved.
"""Gives an image the colors of another camera, if there are no camera-style images."""

import logging
from collections.abc import Sequence

import cv2
import numpy as np
from mmengine.logging import print_log

from mmreid.registry import TRANSFORMS

from .camera_style import camera_of
from .loading import MAX_PIXELS, check_max_pixels, read_image
from .prepared import PreparedTransform


@TRANSFORMS.register_module()
class LoadColorStyleImage(PreparedTransform):
    """Loads an image with the color statistics of a camera that is drawn uniformly; its own gives the real image.

    A substitute for :class:`LoadCamStyleImage` that needs neither a network nor files; it is not the published
    setting: only mean and spread of the Lab channels are moved from camera to camera (Reinhard et al., IEEE CG&A 2001).
    The statistics are measured on some images of each camera, once, in :meth:`prepare`, which ``SourceTargetDataset``
    calls before the training.

    **Required Keys:**

    - img_path
    - style_camid, or camid if that is missing

    **Added Keys:**

    - img (np.ndarray): Shape (H, W, 3), BGR, uint8.
    - img_shape (tuple[int, int])
    - ori_shape (tuple[int, int])
    - styled (bool): Whether another camera's colors were drawn.

    Args:
        images_per_camera (int): Images of a camera that are measured. Defaults to 100.
        seed (int): Seed of their choice. Defaults to 0.
        max_pixels (int, optional): See :class:`LoadReIDImage`. Defaults to 64 million.
    """

    def __init__(self, images_per_camera: int = 100, seed: int = 0, max_pixels: int | None = MAX_PIXELS) -> None:
        if images_per_camera < 1:
            raise ValueError(f'images_per_camera={images_per_camera} of LoadColorStyleImage must be at least 1')
        self.images_per_camera = images_per_camera
        self.seed = seed
        self.max_pixels = check_max_pixels(max_pixels)
        self._statistics: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def prepare(self, records: Sequence[dict]) -> None:
        """Measures the colors of each camera.

        Args:
            records (Sequence[dict]): The records, with the required keys.

        Raises:
            ValueError: If there is a single camera, as without camera ids.
        """
        cameras = np.array([camera_of(record) for record in records])
        if len(np.unique(cameras)) < 2:
            raise ValueError(
                f'the {len(records)} target images are all of one camera, so there are no colors of others; '
                'give the camera ids of the target, or use LoadReIDImage and leave the camera invariance out'
            )
        print_log(
            'LoadColorStyleImage moves color statistics between cameras; this is not the camera style of the '
            'published results',
            logger='current',
            level=logging.WARNING,
        )
        rng = np.random.default_rng(self.seed)
        self._statistics = {}
        for camera in np.unique(cameras).tolist():
            rows = rng.permutation(np.flatnonzero(cameras == camera))[: self.images_per_camera]
            pixels = np.concatenate([self._lab_of(records[row]).reshape(-1, 3) for row in rows])
            self._statistics[camera] = pixels.mean(0), pixels.std(0) + 1e-6

    def transform(self, results: dict) -> dict:
        """Draws a camera and loads the image with its colors."""
        if not self._statistics:
            raise RuntimeError(
                'LoadColorStyleImage does not know the cameras: SourceTargetDataset calls its prepare() if it is in '
                'the pipeline of the target; elsewhere, call it yourself with all records'
            )
        cameras = sorted(self._statistics)
        drawn, own = cameras[np.random.randint(len(cameras))], camera_of(results)
        img = read_image(results['img_path'], self.max_pixels)
        results['img'] = img if drawn == own else self._moved(img, own, drawn)
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        results['styled'] = drawn != own
        return results

    def _lab_of(self, record: dict) -> np.ndarray:
        return _lab(read_image(record['img_path'], self.max_pixels))

    def _moved(self, img: np.ndarray, own: int, drawn: int) -> np.ndarray:
        (mean, spread), (new_mean, new_spread) = self._statistics[own], self._statistics[drawn]
        lab = (_lab(img) - mean) * (new_spread / spread) + new_mean
        bgr = cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2BGR)
        return (bgr * 255).round().clip(0, 255).astype(np.uint8)

    def __repr__(self) -> str:
        return f'LoadColorStyleImage(images_per_camera={self.images_per_camera}, seed={self.seed})'


def _lab(img: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(img.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
