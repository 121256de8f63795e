# Copyright (c) mmreid contributors. All rights reserved.
"""The plot of what a search has tried."""

import cv2
import pytest

from mmreid.visualization.gain_plot import MOST, draw_gains


def draw(path, count, chosen='arch 0'):
    names = [f'arch {number}' for number in range(count)]
    gains = [1.0 - number for number in range(count)]
    draw_gains(path, names, gains, [0.5] * count, [[gain, gain + 0.2] for gain in gains], chosen)
    return cv2.imread(str(path))


def test_a_row_for_each_of_the_first_candidates(tmp_path):
    few, many, more = (draw(tmp_path / f'{count}.png', count) for count in (3, MOST, MOST + 5))
    assert few.shape[0] < many.shape[0] == more.shape[0]
    assert {path.suffix for path in tmp_path.iterdir()} == {'.png'}


@pytest.mark.parametrize(('chosen', 'red'), [('arch 1', True), ('another', False)])
def test_the_chosen_one_is_red(tmp_path, chosen, red):
    image = draw(tmp_path / 'gains.png', 3, chosen).astype(int)
    blue, green, red_channel = image[..., 0], image[..., 1], image[..., 2]
    assert ((red_channel > blue + 100) & (red_channel > green + 100)).any() == red
