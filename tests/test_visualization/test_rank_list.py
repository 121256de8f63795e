# Copyright (c) mmreid contributors. All rights reserved.
import numpy as np
import pytest
from tiny_data import write_image

from mmreid.datasets.transforms.loading import CorruptImageError
from mmreid.visualization import RankedImage, draw_rank_list
from mmreid.visualization.rank_list import BLUE, FRAME, GAP, GRAY, GREEN, MARK, RED


def test_frames_tell_query_match_and_error(tmp_path):
    path = str(write_image(tmp_path / 'ünï cödé.png'))
    lines = ('1 c0', '0.5')
    row = draw_rank_list([RankedImage(path, lines, match) for match in (None, True, False)], (64, 32))
    width = 32 + 2 * FRAME
    assert row.shape[1] == 3 * width + 4 * GAP
    for number, color in enumerate((BLUE, GREEN, RED)):
        assert tuple(row[0, GAP + number * (width + GAP)].tolist()) == color
    assert not np.array_equal(row[64 + 2 * FRAME :, :], np.full_like(row[64 + 2 * FRAME :, :], 255))  # captions


def test_images_of_any_size_are_drawn_alike(tmp_path):
    small, large = write_image(tmp_path / 'a.png', size=(10, 50)), write_image(tmp_path / 'b.png', size=(300, 20))
    assert draw_rank_list([RankedImage(str(p), ('', '')) for p in (small, large)]).shape[0] == 192 + 2 * FRAME + 34


def test_match_and_error_differ_without_colors(tmp_path):
    path = str(write_image(tmp_path / 'a.png'))
    images = [draw_rank_list([RankedImage(path, ('', ''), match)], (64, 32)) for match in (None, True, False)]
    inked = [image[-MARK - FRAME :, :-GAP].min(2) < 128 for image in images]
    assert not inked[0].any() and inked[1].any() and inked[2].any() and (inked[1] != inked[2]).any()


def test_a_missing_file_is_gray_on_request():
    missing = [RankedImage('nowhere/a.png', ('1 c0', '0.5'), True)]
    with pytest.raises(CorruptImageError, match='nowhere/a.png'):
        draw_rank_list(missing)
    tile = draw_rank_list(missing, (64, 32), gray_missing=True)
    assert tuple(tile[FRAME + 5, GAP + FRAME + 16].tolist()) == GRAY and tuple(tile[0, GAP].tolist()) == GREEN


def test_so_is_an_unreadable_one(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'')
    empty = [RankedImage(str(tmp_path / 'a.png'), ('1 c0', '0.5'), True)]
    with pytest.raises(CorruptImageError, match='a.png'):
        draw_rank_list(empty)
    tile = draw_rank_list(empty, (64, 32), gray_missing=True)
    assert tuple(tile[FRAME + 5, GAP + FRAME + 16].tolist()) == GRAY
