# Copyright (c) mmreid contributors. All rights reserved.
"""Draws images next to their camera-style versions."""

from collections.abc import Sequence

import cv2
import numpy as np

PAPER, INK, OWN = (255, 255, 255), (30, 30, 30), (200, 90, 0)  # B G R
FRAME = 3
GAP = 3
HEAD = 18  # height of the line with the column names in pixels
LEAST_WIDTH = 64  # of an image in pixels, so that the column name fits


def draw_style_grid(reals: np.ndarray, styled: np.ndarray, own: Sequence[int], cameras: Sequence[int]) -> np.ndarray:
    """Draws a row per image: the real image, then its style of each camera; a blue frame marks its own camera.

    Args:
        reals (np.ndarray): Real images, shape (N, H, W, 3), BGR, uint8.
        styled (np.ndarray): Shape (N, C, H, W, 3), BGR, uint8.
        own (Sequence[int]): Column of the camera of each real image, from 0, N.
        cameras (Sequence[int]): ``camid`` of each column, C.

    Returns:
        np.ndarray: Shape (H', W', 3), BGR, uint8.
    """
    rows = [
        np.concatenate([_tile(real, False), *(_tile(image, at == mine) for at, image in enumerate(row))], axis=1)
        for real, row, mine in zip(reals, styled, own, strict=True)
    ]
    grid = np.concatenate(rows)
    head = np.full((HEAD, grid.shape[1], 3), PAPER, np.uint8)
    width = grid.shape[1] // (len(cameras) + 1)
    for column, name in enumerate(['real', *(f'cam {camid + 1}' for camid in cameras)]):
        place = (column * width + GAP + FRAME, HEAD - GAP)
        cv2.putText(head, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)
    return np.concatenate([head, grid])


def _tile(image: np.ndarray, is_own: bool) -> np.ndarray:
    times = -(-LEAST_WIDTH // image.shape[1])
    image = image.repeat(times, axis=0).repeat(times, axis=1)
    framed = cv2.copyMakeBorder(image, *[FRAME] * 4, cv2.BORDER_CONSTANT, value=OWN if is_own else PAPER)
    return cv2.copyMakeBorder(framed, *[GAP] * 4, cv2.BORDER_CONSTANT, value=PAPER)
