# Copyright (c) mmreid contributors. All rights reserved.
"""Ranking from features: matchers of every kind, tiles, precision, and features that cannot be ranked."""

import pytest
import torch

from mmreid.evaluation.functional import (
    SYSU_MM01,
    FeaturePairs,
    FeatureScores,
    ScoreBlocks,
    rank,
    rank_features,
    rank_galleries,
)
from mmreid.models import CosineMatcher, EuclideanMatcher


def world(num_query=11, num_gallery=57, dim=6):
    generator = torch.Generator().manual_seed(0)
    feats = [torch.randn(n, dim, generator=generator) for n in (num_query, num_gallery)]
    labels = [torch.randint(0, high, (n,), generator=generator) for n in (num_query, num_gallery) for high in (5, 3)]
    return feats, labels


def map_matcher(query, gallery):
    """Scores maps of shape (N, C, H, W) by their best pair of places, without ``prepare``."""
    return torch.einsum('qchw,gcyx->qghwyx', query, gallery).flatten(2).amax(2)


@pytest.mark.parametrize('matcher', [CosineMatcher(), EuclideanMatcher()], ids=['cosine', 'euclidean'])
def test_blocks_of_features_equal_the_whole_matrix(matcher):
    (q, g), labels = world()
    whole = rank(matcher(q, g), *labels, keep_top=5)
    blocks = rank_features(q, g, matcher, *labels, memory=4 * 4 * 57, keep_top=5)
    tiles = rank(FeatureScores(q, g, matcher, tile=10), *labels, keep_top=5)
    for result in (blocks, tiles):
        torch.testing.assert_close(result.ap, whole.ap, rtol=0, atol=1e-9, equal_nan=True)
        assert torch.equal(result.top, whole.top)
        torch.testing.assert_close(result.top_scores, whole.top_scores)


def test_a_function_that_does_not_score_every_pair_is_refused():
    with pytest.raises(ValueError, match=r'function gave scores of shape \(2,\) for 2 queries and 3 gallery images'):
        FeatureScores(torch.ones(2, 4), torch.ones(3, 4), lambda query, gallery: query.sum(1)).rows(slice(0, 2))


def test_matcher_of_maps_without_prepare():
    (q, g), labels = world(dim=24)
    q, g = q.reshape(-1, 2, 4, 3), g.reshape(-1, 2, 4, 3)
    whole = rank(map_matcher(q, g), *labels)
    tiles = rank(FeatureScores(q, g, map_matcher, tile=8), *labels, memory=1)
    torch.testing.assert_close(tiles.ap, whole.ap, rtol=0, atol=1e-9, equal_nan=True)


def test_a_gallery_that_does_not_fit_is_moved_and_prepared_in_tiles(monkeypatch):
    monkeypatch.setattr('mmreid.evaluation.functional.score_blocks._fits', lambda *_: False)
    monkeypatch.setattr('mmreid.evaluation.functional.score_blocks.TILE_BYTES', 10 * 6 * 4)
    (q, g), labels = world()
    seen = []

    class Matcher(CosineMatcher):
        def prepare(self, feats):
            seen.append(len(feats))
            return super().prepare(feats)

    tiles = rank_features(q, g, Matcher(), *labels)
    assert max(seen[1:]) == 10 and sum(seen) == 11 + 57
    torch.testing.assert_close(tiles.ap, rank(CosineMatcher()(q, g), *labels).ap, rtol=0, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_features_are_never_all_converted(dtype, monkeypatch):
    monkeypatch.setattr('mmreid.evaluation.functional.score_blocks.HALF_TILE_BYTES', 10 * 6 * 2)
    (q, g), labels = world()
    q, g = q.to(dtype), g.to(dtype)
    sizes = []

    class Matcher(CosineMatcher):
        def prepare(self, feats):
            feats, numbers = super().prepare(feats)
            sizes.append(len(feats))
            assert feats.dtype == torch.float32
            return feats, numbers

    whole = rank(CosineMatcher()(q, g), *labels, keep_top=5)
    blocks = rank_features(q, g, Matcher(), *labels, memory=1, keep_top=5)  # one query at a time
    assert max(sizes) == 10 and len(sizes) == 11 * (1 + 6)
    torch.testing.assert_close(blocks.ap, whole.ap, rtol=0, atol=1e-9, equal_nan=True)
    assert torch.equal(blocks.top, whole.top)

    sizes.clear()
    pairs = FeaturePairs([q, g], Matcher())
    scores = pairs.tile(slice(3, 9), slice(0, 68)).clone()
    assert max(sizes) == 10
    everything = torch.cat([q, g])
    torch.testing.assert_close(scores, CosineMatcher()(everything[3:9], everything))


def test_rows_come_from_one_buffer_and_features_stay_as_they_are():
    (q, g), _ = world()
    copies = q.clone(), g.clone()
    source = FeatureScores(q, g, CosineMatcher())
    first = source.rows(slice(0, 4))
    assert source.rows(slice(4, 8)).data_ptr() == first.data_ptr()
    torch.testing.assert_close(source.rows(slice(8, 11)), CosineMatcher()(q[8:], g))
    assert torch.equal(q, copies[0]) and torch.equal(g, copies[1])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_features_are_matched_in_float32(dtype):
    (q, g), labels = world()
    half = rank_features(q.to(dtype), g.to(dtype), CosineMatcher(), *labels).ap
    single = rank_features(q.to(dtype).float(), g.to(dtype).float(), CosineMatcher(), *labels).ap
    assert torch.equal(half.nan_to_num(), single.nan_to_num())
    with torch.autocast('cpu', torch.bfloat16):
        assert EuclideanMatcher()(q, g).dtype == CosineMatcher()(q.to(dtype), g.to(dtype)).dtype == torch.float32


def test_float64_features_keep_their_order():
    q = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    g = torch.tensor([[1.0, 2e-5], [1.0, 1e-5]], dtype=torch.float64)  # equal cosines in float32
    result = rank_features(q, g, CosineMatcher(), *map(torch.tensor, ([1], [0], [2, 1], [1, 1])))
    assert result.first_match.tolist() == [1]


@pytest.mark.parametrize('matcher', [CosineMatcher(), EuclideanMatcher()], ids=['cosine', 'euclidean'])
def test_matchers_have_gradients_and_score_into_a_given_place(matcher):
    (q, g), _ = world()
    torch.autograd.gradcheck(matcher, [q[:2].double().requires_grad_(), g[:3].double().requires_grad_()])
    out = torch.full((11, 60), 7.0)
    matcher.score(matcher.prepare(q), matcher.prepare(g), out=out[:, 2:59])
    torch.testing.assert_close(out[:, 2:59], matcher(q, g))
    assert (out[:, :2] == 7).all() and (out[:, 59:] == 7).all()


@pytest.mark.parametrize(
    ('value', 'what'), [(float('nan'), 'NaN'), (-float('inf'), 'infinite'), (1e30, 'too large to be squared')]
)
def test_the_image_of_a_bad_feature_is_named(value, what):
    (q, g), labels = world()
    bad = g.clone()
    bad[13, 2] = value
    with pytest.raises(ValueError, match=rf'gallery image 13 \(g13.jpg\) .*{what}'):
        names = [f'q{i}.jpg' for i in range(11)], [f'g{i}.jpg' for i in range(57)]
        rank_features(q, bad, CosineMatcher(), *labels, names=names)
    with pytest.raises(ValueError, match=f'query image 13 .*{what}.* 1 of 57 query'):
        rank_features(bad, g, map_matcher, *labels)


def test_a_matcher_that_gives_nan_or_a_wrong_shape_is_named():
    (q, g), labels = world()
    with pytest.raises(ValueError, match='query 0 .*gallery image 0 .*NaN'):
        rank_features(q, g, lambda q, g: (q @ g.t()) * float('nan'), *labels)
    with pytest.raises(ValueError, match=r'function .*\(57, 11\) .*11 queries .*57 gallery'):
        rank_features(q, g, lambda q, g: g @ q.t(), *labels)


def test_other_sources_of_scores():
    (q, g), labels = world()
    scores = CosineMatcher()(q, g)

    class Source(ScoreBlocks):
        def rows(self, block):
            return scores[block].clone()

    expected = rank(scores, *labels).ap.nan_to_num()
    assert torch.equal(rank(Source(), *labels, memory=1).ap.nan_to_num(), expected)
    assert torch.equal(rank(lambda block: scores[block], *labels).ap.nan_to_num(), expected)
    assert torch.equal(rank(scores.t().contiguous().t(), *labels).ap.nan_to_num(), expected)


def test_several_galleries_share_the_scores():
    (q, g), (q_pids, q_camids, g_pids, g_camids) = world()
    scores = CosineMatcher()(q, g)
    draws = [torch.randperm(57, generator=torch.Generator().manual_seed(i))[:30] for i in range(3)]
    blocks = []

    def source(block):
        blocks.append(block)
        return scores[block]

    options = dict(keep_top=31, roc_fpr=0.1, memory=4 * (4 * 57 + 64 * 20))
    several = rank_galleries(source, q_pids, q_camids, g_pids, g_camids, [*draws, None], SYSU_MM01, **options)
    assert [block.start for block in blocks] == sorted({block.start for block in blocks})
    for draw, result in zip([*draws, torch.arange(57)], several, strict=True):
        one = rank(scores[:, draw], q_pids, q_camids, g_pids[draw], g_camids[draw], SYSU_MM01, keep_top=31, roc_fpr=0.1)
        for name in ('ap', 'inp', 'places', 'num_matches', 'top_scores'):
            assert torch.equal(getattr(result, name).nan_to_num(), getattr(one, name).nan_to_num())
        assert torch.equal(result.top, draw[one.top].where(one.top >= 0, -1))
        assert result.roc.tpr(0.05) == one.roc.tpr(0.05)
    with pytest.raises(ValueError, match='11 queries .*0 gallery'):
        rank_galleries(scores, q_pids, q_camids, g_pids, g_camids, [draws[0], draws[0][:0]])
    scores[3, draws[1][7]] = float('nan')
    with pytest.raises(ValueError, match=f'query 3 .*gallery image {draws[1][7]} .*NaN'):
        rank_galleries(scores, q_pids, q_camids, g_pids, g_camids, [draws[1]], SYSU_MM01)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_gpu_equals_cpu():
    (q, g), labels = world(40, 3000)
    scores = EuclideanMatcher()(q, g)
    cpu, gpu = (rank(scores.to(device), *labels, keep_top=9, roc_fpr=0.1) for device in ('cpu', 'cuda'))
    assert torch.equal(cpu.ap.nan_to_num(), gpu.ap.nan_to_num()) and torch.equal(cpu.top, gpu.top)
    assert cpu.roc.tpr(0.05) == gpu.roc.tpr(0.05)
    moved = rank_features(q, g, EuclideanMatcher(), *labels, device='cuda')
    assert moved.mean_ap == pytest.approx(cpu.mean_ap, abs=1e-6)
