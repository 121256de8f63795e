# Copyright (c) mmreid contributors. All rights reserved.
import numpy as np
from tiny_data import write_image

from mmreid.visualization import RankedImage, draw_rank_list
from mmreid.visualization.rank_list import BLUE, FRAME, GAP, GREEN, RED


def test_frames_tell_query_match_and_error(tmp_path):
    path = str(write_image(tmp_path / 'ünï cödé.png'))
    lines = ('1 c0', '0.5')
    row = draw_rank_list([RankedImage(path, lines, match) for match in (None, True, False)], (64, 32))
    width = 32 + 2 * FRAME
    assert row.shape[1] == 3 * width + 4 * GAP
    for number, colour in enumerate((BLUE, GREEN, RED)):
        assert tuple(row[0, GAP + number * (width + GAP)].tolist()) == colour
    assert not np.array_equal(row[64 + 2 * FRAME :, :], np.full_like(row[64 + 2 * FRAME :, :], 255))  # captions


def test_images_of_any_size_are_drawn_alike(tmp_path):
    small, large = write_image(tmp_path / 'a.png', size=(10, 50)), write_image(tmp_path / 'b.png', size=(300, 20))
    assert draw_rank_list([RankedImage(str(p), ('', '')) for p in (small, large)]).shape[0] == 192 + 2 * FRAME + 34
