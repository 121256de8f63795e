# Copyright (c) mmreid contributors. All rights reserved.
"""The image of an architecture: what is in it, looked up in the colors of its pixels."""

import cv2
import numpy as np
import pytest

from mmreid.models import branch_norms
from mmreid.registry import MODELS
from mmreid.visualization.arch_plot import PER_ROW, SHARE, SPLIT, draw_arch


def area(path, color):
    """Counts the pixels of a color."""
    wanted = [int(color[i : i + 2], 16) for i in (5, 3, 1)]
    return (np.abs(cv2.imread(str(path)).astype(int) - wanted).max(-1) < 4).sum()


@pytest.fixture(scope='module')
def names():
    backbone = dict(type='mmpretrain.ResNet', depth=50, base_channels=4, norm_cfg=dict(type='mmreid.BranchBN2d'))
    return list(branch_norms(MODELS.build(backbone)))


def test_boxes_have_the_colors_of_their_states(names, tmp_path):
    areas = {}
    for count in (0, 10, 53):
        draw_arch(tmp_path / 'a.png', {name: 'split' if i < count else 'share' for i, name in enumerate(names)})
        areas[count] = area(tmp_path / 'a.png', SPLIT), area(tmp_path / 'a.png', SHARE)
    assert areas[0][0] < areas[10][0] / 5 and areas[53][1] < areas[10][1] / 5  # the legend has both
    boxes = (areas[10][0] - areas[0][0]) / (areas[53][0] - areas[0][0])
    assert boxes == pytest.approx(10 / 53, rel=0.05)


def test_undecided_norms_are_pale(names, tmp_path):
    norms = dict.fromkeys(names, 'split')
    for path, probability in (('sure.png', 1.0), ('unsure.png', 0.55)):
        draw_arch(tmp_path / path, norms, dict.fromkeys(names, probability), title='ResNet-50')
    assert area(tmp_path / 'unsure.png', SPLIT) < area(tmp_path / 'sure.png', SPLIT) / 10


def test_long_stages_go_over_several_rows(tmp_path):
    short, long = ({f'layer1.{i}.bn1': 'share' for i in range(count)} for count in (PER_ROW, PER_ROW + 1))
    heights = []
    for norms in (short, long):
        draw_arch(tmp_path / 'a.png', norms)
        heights.append(cv2.imread(str(tmp_path / 'a.png')).shape)
    assert heights[0][1] == heights[1][1] and heights[0][0] < heights[1][0]
