# Copyright (c) mmreid contributors. All rights reserved.
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmreid.visualization import Correspondence, draw_correspondences, find_correspondences


def test_places_that_were_moved_are_found():
    generator = torch.Generator().manual_seed(0)
    first = F.normalize(torch.randn(16, 4, 3, generator=generator), dim=0)
    second = first.roll((1, 1), dims=(1, 2))
    found = find_correspondences(first, second, top=12)
    assert {match.first for match in found} == {(row, column) for row in range(4) for column in range(3)}
    for match in found:
        assert match.second == ((match.first[0] + 1) % 4, (match.first[1] + 1) % 3)
        assert match.strength == pytest.approx(1, abs=1e-5)


def test_strongest_first_and_each_pair_once():
    generator = torch.Generator().manual_seed(1)
    first, second = (F.normalize(torch.randn(8, 4, 3, generator=generator), dim=0) for _ in range(2))
    found = find_correspondences(first, second, top=1000)
    pairs = [(match.first, match.second) for match in found]
    assert len(set(pairs)) == len(pairs) and 12 <= len(pairs) <= 24
    strengths = [match.strength for match in found]
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[0] == pytest.approx(float(torch.einsum('chw,cij->hwij', first, second).max()), abs=1e-6)
    assert find_correspondences(first, second, top=3) == found[:3]


def test_embeddings_are_refused():
    with pytest.raises(ValueError, match=r'\(8,\) .*\(8,\); .*PairwiseReID'):
        find_correspondences(torch.zeros(8), torch.zeros(8))


def test_lines_join_the_places():
    images = [np.full((64, 32, 3), value, np.uint8) for value in (90, 120)]
    empty = draw_correspondences(images, [], (4, 2), [''], size=(384, 128))
    matches = [Correspondence((0, 0), (3, 1), 0.9), Correspondence((3, 1), (0, 0), 0.2)]
    drawn = draw_correspondences(images, matches, (4, 2), ['score 1.0'], size=(384, 128))
    assert drawn.shape == empty.shape and drawn.dtype == np.uint8
    strong, weak = drawn[6 + 48, 6 + 32], drawn[6 + 336, 6 + 96]  # the middles of two cells of the first image
    assert strong[2] > 100 > strong[0] and weak[0] > 200 > weak[2]  # B G R
    left = 6 + 128 + 64
    assert (drawn[6 + 336, left + 96] == strong).all() and (drawn[6 + 48, left + 32] == weak).all()
    assert (drawn[6 + 192, 6 + 128 + 32] != 255).any()  # the lines cross in the middle of the gap
