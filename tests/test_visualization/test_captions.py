# Copyright (c) mmreid contributors. All rights reserved.
import numpy as np
import pytest

from mmreid.visualization.captions import write_caption


def written(text, width=100):
    image = np.full((20, width, 3), 255, np.uint8)
    write_caption(image, text, (4, 14))
    return image


@pytest.mark.parametrize('text', ['anna', 'Jürgen', 'Ольга', 'Ω7'])
def test_words_of_other_alphabets_are_drawn_and_differ(text):
    image = written(text)
    assert (image < 128).any() and not np.array_equal(image, written('?' * len(text)))
    assert not np.array_equal(image, written(text[:-1])) and (image[:, :2] == 255).all()


@pytest.mark.parametrize('letter', ['w', 'ж'])
def test_long_words_end_in_dots_inside_the_image(letter):
    image, longer = written(letter * 40), written(letter * 400)
    assert np.array_equal(image, longer) and (image[:, 60:] < 128).any() and (image[:, -1] == 255).all()
    assert (written('', 3) == 255).all()
