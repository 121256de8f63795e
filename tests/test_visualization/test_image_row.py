# Copyright (c) mmreid contributors. All rights reserved.
"""Heat maps and correspondences have one look: the same row of images, color scale and text."""

import numpy as np

from mmreid.visualization import Correspondence, draw_correspondences
from mmreid.visualization.heat_map import draw_heat_maps
from mmreid.visualization.image_row import BAR, draw_row, heat_colors


def test_colors_go_from_blue_to_red():
    cold, hot = heat_colors(0.0), heat_colors(1.0)
    assert cold.shape == (3,) and cold[0] > 200 and cold[2] == 0 and hot[2] >= 128 and hot[0] == 0  # B G R
    table = np.linspace(-1, 2, 12).reshape(4, 3)
    assert heat_colors(table).shape == (4, 3, 3)
    assert (heat_colors(table)[0] == cold).all() and (heat_colors(table)[-1] == hot).all()


def test_images_are_where_it_says():
    images = [np.full((10, 20, 3), value, np.uint8) for value in (60, 120, 180)]
    drawing, corners = draw_row(images, ('low', 'high'), ['a line'], size=(64, 32), gap=9)
    for (left, top), value in zip(corners, (60, 120, 180), strict=True):
        assert (drawing[top : top + 64, left : left + 32] == value).all()
        assert (drawing[top : top + 64, left - 3 : left] == 255).all()


def test_both_drawings_share_the_look():
    images = [np.full((64, 32, 3), value, np.uint8) for value in (90, 120)]
    heats = draw_heat_maps(images, [np.zeros((4, 2), np.float32)] * 2, ['one', 'two'])
    matches = draw_correspondences(images, [Correspondence((0, 0), (1, 1), 0.5)], (4, 2), ['one', 'two'])
    assert len(heats) == len(matches)
    below = 6 + 384 + 6  # the images end above
    lowest = [drawing[-34:, :60] for drawing in (heats, matches)]
    assert (lowest[0] == lowest[1]).all() and (lowest[0] != 255).any()  # the lines of text
    scale = heat_colors(np.linspace(0, 1, BAR[1]))
    for drawing in (heats, matches):
        row = drawing[below + 8]
        starts = [left for left in range(len(row) - BAR[1]) if (row[left : left + BAR[1]] == scale).all()]
        assert len(starts) == 1
