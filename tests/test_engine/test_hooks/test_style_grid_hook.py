# Copyright (c) mmreid contributors. All rights reserved.
"""Which images a grid of camera styles shows, and where it puts them."""

import numpy as np
import pytest

from mmreid.engine import StyleGridHook
from mmreid.engine.hooks.style_grid_hook import rows_by_camera
from mmreid.visualization import draw_style_grid


def test_cameras_take_turns():
    camids = np.array([5, 5, 5, 5, 1, 1, 1, 1, 3])
    assert camids[rows_by_camera(camids, 5)].tolist() == [1, 3, 5, 1, 5]
    assert rows_by_camera(camids, 5) == [4, 8, 0, 6, 2]  # spread over the images of a camera
    assert sorted(rows_by_camera(camids, 100)) == list(range(9))


def test_grid_has_a_row_per_image_and_a_column_per_camera():
    reals = np.full((2, 128, 64, 3), 10, np.uint8)
    styled = np.array([[20, 30, 40], [50, 60, 70]], np.uint8)[:, :, None, None, None].repeat(128, 2).repeat(64, 3)
    grid = draw_style_grid(reals, styled.repeat(3, 4), [1, 2], [0, 3, 4])
    height, width = (grid.shape[0] - 18) // 2, grid.shape[1] // 4
    centers = grid[18 + height // 2 :: height, width // 2 :: width, 0]
    assert centers.tolist() == [[10, 20, 30, 40], [10, 50, 60, 70]]
    frames = grid[18 + height // 2 :: height, 4::width]
    blue = (frames == (200, 90, 0)).all(-1)
    assert blue.tolist() == [[False, False, True, False], [False, False, False, True]]


def test_refuses_nothing():
    with pytest.raises(ValueError, match='interval=0 and num_images=8'):
        StyleGridHook(interval=0)
