# Copyright (c) mmreid contributors. All rights reserved.
import cv2
import numpy as np
import torch

from mmreid.models.utils import ReIDDataPreprocessor, denormalize
from mmreid.structures import ReIDDataSample
from mmreid.visualization import draw_batch
from mmreid.visualization.batch_grid import (
    FRAME,
    GAP,
    INFRARED_PAPER,
    LEAST_WIDTH,
    LINE,
    PAPER,
    captions,
    columns_for,
    identity_colors,
)


def sample(pid, modality=None, **meta):
    known = dict(pid=pid, camid=1, modality=modality, domain=0, split='query')
    return ReIDDataSample(metainfo={**known, **meta})


def frame_colors(image, columns, rows, size):
    """Reads the frame of each tile."""
    high, wide = size[0] + 2 * FRAME + 2 * GAP + 3 * LINE, size[1] + 2 * FRAME + 2 * GAP
    corners = [(2 * LINE + row * high, column * wide) for row in range(rows) for column in range(columns)]
    return [tuple(image[y + GAP + 1, x + GAP + 1].tolist()) for y, x in corners], corners


def test_denormalize_undoes_the_preprocessor():
    loaded = torch.randint(0, 256, (2, 3, 8, 4), dtype=torch.uint8)  # B G R, as the loader gives it
    preprocessor = ReIDDataPreprocessor()
    inputs = preprocessor(dict(inputs=loaded, data_samples=None))['inputs']
    restored = denormalize(inputs, preprocessor.mean, preprocessor.std)
    np.testing.assert_array_equal(restored, loaded.permute(0, 2, 3, 1).numpy())
    np.testing.assert_array_equal(denormalize(loaded.float(), rgb=False), restored)


def test_one_color_for_each_identity_and_gray_below_infrared():
    size = (64, LEAST_WIDTH)
    images = np.zeros((6, *size, 3), np.uint8)
    pids, modalities = [5, 5, 9, 9, 5, 5], ['visible'] * 4 + ['infrared'] * 2
    drawn = draw_batch(images, [sample(*entry) for entry in zip(pids, modalities, strict=True)], 'title')
    frames, corners = frame_colors(drawn, columns=6, rows=1, size=size)
    assert frames[0] == frames[1] == frames[4] == frames[5] and frames[2] == frames[3] != frames[0]
    assert [tuple(drawn[y, x].tolist()) for y, x in corners] == [PAPER] * 4 + [INFRARED_PAPER] * 2
    assert (drawn[: 2 * LINE] < 128).any()  # the title


def test_small_images_are_enlarged_and_the_last_row_is_filled_up():
    drawn = draw_batch(np.zeros((9, 32, 16, 3), np.uint8), [sample(pid) for pid in range(9)])
    times = -(-LEAST_WIDTH // 16)
    frames, _ = frame_colors(drawn, columns=8, rows=2, size=(32 * times, 16 * times))
    assert len(set(frames[:9])) == 9 and set(frames[9:]) == {PAPER}


def test_identities_of_two_data_sets_with_the_same_number_differ():
    drawn = draw_batch(np.zeros((2, 64, 128, 3), np.uint8), [sample(1), sample(1, domain=1)])
    frames, _ = frame_colors(drawn, columns=2, rows=1, size=(64, 128))
    assert frames[0] != frames[1]


def test_runs_are_not_broken_over_rows():
    def runs(length, count):
        return np.repeat(np.arange(count), length).tolist()

    assert [columns_for(runs(k, 4)) for k in (1, 2, 3, 4, 8, 10, 30)] == [8, 8, 6, 8, 8, 10, 8]
    assert columns_for([1, 1, 2, 3, 3, 3]) == 8


def test_captions():
    assert captions(sample(7, 'infrared')) == ['pid 7 cam 1', 'infrared domain 0', 'query']
    assert captions(sample(7).set_gt_label(3)) == ['pid 7 cam 1', 'domain 0', 'class 3']
    assert captions(ReIDDataSample(metainfo=dict(pid=7))) == ['pid 7', '', '']


def test_colors_of_many_identities_differ():
    colors = identity_colors(36)
    assert len(set(colors)) == 36
    hues = cv2.cvtColor(np.array([colors[:2]], np.uint8), cv2.COLOR_BGR2HSV)[0, :, 0].astype(int)
    assert abs(hues[0] - hues[1]) > 30  # of 180
