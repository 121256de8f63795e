# Copyright (c) mmreid contributors. All rights reserved.
"""Nearest images against a stable sort, with and without compiled loops."""

import pytest
import torch

from mmreid.evaluation.functional import FeaturePairs, FeatureScores, MatrixPairs, nearest_in_gallery, nearest_of_all
from mmreid.models import CosineMatcher, EuclideanMatcher


@pytest.fixture(params=['compiled', 'plain'])
def path(request, monkeypatch):
    monkeypatch.setattr('mmreid.evaluation.functional.nearest._compiles', lambda *_: request.param == 'compiled')


def draw(seed, num_query, num_gallery, dim=3, levels=None):
    """Draws features; few levels make many scores equal."""
    generator = torch.Generator().manual_seed(seed)
    feats = torch.randn(num_query + num_gallery, dim, generator=generator)
    if levels:
        feats = torch.randint(0, levels, feats.shape, generator=generator).float()
    return feats[:num_query], feats[num_query:]


def symmetric(feats):
    """Squared distances, of small integers exact, so that ties are ties."""
    return (feats[:, None] - feats).square().sum(-1)


@pytest.mark.parametrize('levels', [None, 2])
@pytest.mark.parametrize('shape', [(1, 1), (1, 40), (7, 90), (40, 3)])
def test_lists_equal_a_stable_sort(path, shape, levels):
    for seed, k, rows in ((0, 1, 1), (1, 5, 7), (2, 200, 1000)):
        q, g = draw(seed, *shape, levels=levels)
        distances = symmetric(torch.cat([q, g]))
        pairs = MatrixPairs(distances[: len(q), : len(q)], distances[: len(q), len(q) :], distances[len(q) :, len(q) :])
        near = nearest_of_all(pairs, k, memory=4 * rows * len(distances))
        score, index = distances.sort(dim=1, descending=True, stable=True)
        assert torch.equal(near.index, index[:, :k])
        assert torch.equal(near.score, score[:, :k])
        assert torch.equal(near.lowest, distances.amin(1))


def test_order_of_float64_is_kept(path):
    scores = torch.tensor([[1.0, 1 + 1e-12, 1 + 2e-12]], dtype=torch.float64).expand(3, 3)
    scores = (scores + scores.t()) / 2
    pairs = MatrixPairs(scores[:1, :1], scores[:1, 1:], scores[1:, 1:])
    assert nearest_of_all(pairs, 3).index[0].tolist() == [2, 1, 0]


@pytest.mark.parametrize('matcher', [CosineMatcher(), EuclideanMatcher(), lambda q, g: q @ g.t()])
def test_features_in_blocks_equal_the_whole_matrix(path, matcher):
    q, g = draw(0, 13, 40, dim=8)
    feats = torch.cat([q, g])
    whole = matcher(feats, feats)
    near = nearest_of_all(FeaturePairs([q, g], matcher), 6, memory=4 * 9 * 53)
    assert torch.equal(near.index, whole.topk(6).indices)
    torch.testing.assert_close(near.score, whole.topk(6).values)
    near = nearest_in_gallery(FeatureScores(q, g, matcher), 13, 40, 6, memory=4 * 3 * 40)
    assert torch.equal(near.index, whole[:13, 13:].topk(6).indices)


def test_picked_and_tiled_scores_equal_the_whole_matrix(monkeypatch):
    monkeypatch.setattr('mmreid.evaluation.functional.pair_scores._fits', lambda *_: False)
    monkeypatch.setattr('mmreid.evaluation.functional.score_blocks.TILE_BYTES', 4 * 8 * 5)
    q, g = draw(0, 13, 40, dim=8)
    feats, matcher = torch.cat([q, g]), CosineMatcher()
    whole = matcher(feats, feats)
    pairs = FeaturePairs([q, g], matcher)
    torch.testing.assert_close(pairs.tile(slice(9, 20), slice(5, 50)), whole[9:20, 5:50])
    rows, columns = torch.tensor([2, 12, 13, 50]), torch.tensor([0, 14, 52])
    torch.testing.assert_close(pairs.pick(rows, columns), whole[rows][:, columns])
    one_side = FeaturePairs([feats], matcher)
    torch.testing.assert_close(one_side.pick(torch.tensor([20]), torch.tensor([30, 31])), whole[20:21, 30:32])


@pytest.mark.parametrize('value', [float('nan'), float('-inf')])
def test_scores_that_cannot_be_ordered_are_refused(path, value):
    scores = torch.eye(6)
    scores[4, 5] = scores[5, 4] = value
    with pytest.raises(ValueError, match=f'image 4 .*{value}'):
        nearest_of_all(MatrixPairs(scores[:2, :2], scores[:2, 2:], scores[2:, 2:]), 2)


def test_nan_features_and_matrices_that_do_not_fit_are_refused():
    q, g = draw(0, 2, 5)
    g[3, 1] = float('nan')
    with pytest.raises(ValueError, match='gallery image 3 .*NaN'):
        FeaturePairs([q, g], CosineMatcher())
    with pytest.raises(ValueError, match=r'\(2, 2\).*\(2, 3\)'):
        MatrixPairs(torch.zeros(2, 2), torch.zeros(2, 3), torch.zeros(2, 2))
