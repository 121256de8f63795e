# Copyright (c) mmreid contributors. All rights reserved.
import numpy as np
import pytest

from mmreid.datasets.transforms import RandomOcclusion


@pytest.mark.parametrize('shape', [(40, 20), (20, 40), (1, 1)])
def test_covers_one_white_square_of_any_side(shape):
    np.random.seed(0)
    image = np.zeros((*shape, 3), dtype=np.uint8)
    sides = set()
    for _ in range(600):
        covered = RandomOcclusion()(dict(img=image))['img'] == 255
        rows, columns = np.flatnonzero(covered.any((1, 2))), np.flatnonzero(covered.any((0, 2)))
        assert len(rows) == len(columns)
        assert covered.sum() == 3 * len(rows) ** 2 and len(rows) == np.ptp(rows) + 1
        sides.add(len(rows))
    assert sides == set(range(1, max(2, int(0.8 * min(shape)))))
    assert not image.any()  # the image that was given stays


def test_probability_and_color():
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    assert not RandomOcclusion(prob=0.0)(dict(img=image))['img'].any()
    assert set(RandomOcclusion(fill_color=(7, 7, 7))(dict(img=image))['img'].flat) == {0, 7}
    for arguments in (dict(prob=2), dict(max_ratio=0)):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            RandomOcclusion(**arguments)
