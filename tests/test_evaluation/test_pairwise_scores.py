# Copyright (c) mmreid contributors. All rights reserved.
"""Scores of maps: in tiles, in half precision, and in two stages."""

import shutil
import tempfile
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from mmreid.evaluation import ReIDMetric
from mmreid.evaluation.functional import (
    CachedScores,
    FeaturePairs,
    FeatureScores,
    PrefilteredScores,
    rank,
    score_blocks,
)
from mmreid.models import QAConvMatcher


class NoticingMatcher(QAConvMatcher):
    """Notes how many pairs it is asked for."""

    pairs = most = 0

    def prepare(self, feats):
        self.most = max(self.most, len(feats))
        return super().prepare(feats)

    def score(self, query, gallery, out=None):
        self.pairs += len(query) * len(gallery)
        return super().score(query, gallery, out)


@pytest.fixture
def matcher():
    torch.manual_seed(0)
    made = NoticingMatcher(size=(4, 3)).eval()
    torch.nn.init.uniform_(made.fc.weight)
    return made


def maps(num, seed):
    centers = torch.randn(8, 6, 4, 3, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(num, 6, 4, 3, generator=torch.Generator().manual_seed(seed))
    return F.normalize(centers[torch.arange(num) % 8] + 0.7 * noise, dim=1)


def whole(scores):
    return torch.cat([scores.rows(slice(i, min(i + 5, scores.shape[0]))).clone() for i in range(0, scores.shape[0], 5)])


def test_a_large_gallery_is_prepared_in_tiles(matcher, monkeypatch):
    query, gallery = maps(13, 1), maps(40, 2)
    with torch.no_grad():
        expected = matcher(query, gallery)
    torch.testing.assert_close(whole(FeatureScores(query, gallery, matcher)), expected)
    monkeypatch.setattr(score_blocks, 'TILE_BYTES', 7 * gallery[0].nbytes)
    matcher.most = 0
    torch.testing.assert_close(whole(FeatureScores(query, gallery, matcher)), expected)
    assert matcher.most == 7
    matcher.most = 0
    pairs = FeaturePairs([query[:5], gallery], matcher)
    torch.testing.assert_close(pairs.tile(slice(0, 5), slice(5, 45)), expected[:5])
    assert matcher.most <= 7


def test_half_precision_maps_are_kept_so(matcher):
    query, gallery = maps(13, 1), maps(40, 2)
    exact = whole(FeatureScores(query, gallery, matcher))
    half = FeatureScores(query.half(), gallery.half(), matcher)
    assert half.g_feats.dtype == torch.float16
    torch.testing.assert_close(whole(half), exact, rtol=0, atol=0.02)


def test_slow_matchers_have_small_blocks(matcher):
    sizes = []

    class Noticing(FeatureScores):
        def rows(self, block):
            sizes.append(block.stop - block.start)
            return super().rows(block)

    scores = Noticing(maps(150, 1), maps(40, 2), matcher)
    zeros = torch.zeros(150, dtype=torch.int64)
    rank(scores, torch.arange(150) % 8, zeros, torch.arange(40) % 8, 1 + zeros[:40])
    assert sizes == [64, 64, 22]


def test_a_shortlist_is_scored_exactly_and_the_rest_stays_behind(matcher):
    query, gallery = maps(13, 1), maps(40, 2)
    exact = whole(FeatureScores(query, gallery, matcher))
    matcher.pairs = 0
    rows = whole(PrefilteredScores(query, gallery, matcher, topk=9))
    assert matcher.pairs == 13 * 9
    pooled = F.normalize(query.flatten(2).mean(2)) @ F.normalize(gallery.flatten(2).mean(2)).t()
    for row, exact_row, near in zip(rows, exact, pooled, strict=True):
        order = near.argsort(descending=True)
        torch.testing.assert_close(row[order[:9]], exact_row[order[:9]])
        assert row[order[:9]].min() > row[order[9:]].max()
        assert (row[order[9:]].diff() <= 0).all()
    torch.testing.assert_close(whole(PrefilteredScores(query, gallery, matcher, topk=100)), exact)
    with pytest.raises(ValueError, match='topk=0 '):
        PrefilteredScores(query, gallery, matcher, topk=0)


def samples_of(query, gallery):
    return [
        dict(
            pid=i % 8, camid=camid, split=split, sample_idx=start + i, img_path=f'{start + i}.jpg', feature=feature,
            timestamp=10.0 * i,
        )
        for split, start, camid, feats in (('query', 0, 0, query), ('gallery', len(query), 1, gallery))
        for i, feature in enumerate(feats)
    ]  # fmt: skip


def test_two_stages_by_config(matcher):
    samples = samples_of(maps(13, 1), maps(40, 2))
    values = {}
    for topk in (None, 10, 40):
        metric = ReIDMetric(prefilter_topk=topk)
        metric.matcher, matcher.pairs = matcher, 0
        metric.process(None, samples)
        values[topk] = metric.evaluate(53)
        assert matcher.pairs == 13 * (topk or 40)
    assert values[40] == values[None]
    assert values[10]['reid/mAP'] != values[None]['reid/mAP']
    for bad in (dict(prefilter_topk=0), dict(prefilter_topk=5, post=[dict(type='KReciprocalRerank')])):
        with pytest.raises(ValueError, match='prefilter_topk=. of ReIDMetric .*post'):
            ReIDMetric(**bad)


TLIFT, RERANK = dict(type='TLift', tau=25.0, sigma=30.0, k=3), dict(type='KReciprocalRerank', k1=5, k2=2)


@pytest.mark.parametrize(('post', 'passes_saved'), [([TLIFT], 2), ([RERANK], 1), ([RERANK, TLIFT], 2)])
def test_scores_that_are_kept_are_not_matched_again(matcher, post, passes_saved):
    samples = samples_of(maps(70, 1), maps(40, 2))  # two blocks of queries
    values, pairs = {}, {}
    for keep in (False, True):
        metric = ReIDMetric(post=post, keep_scores=keep)
        metric.matcher, matcher.pairs = matcher, 0
        metric.process(None, samples)
        values[keep], pairs[keep] = metric.evaluate(110), matcher.pairs
    assert values[True] == values[False] and len(values[True]) == 2 * 8
    assert pairs[False] - pairs[True] == passes_saved * 70 * 40
    if post == [TLIFT]:
        assert pairs[True] == 70 * 40


def test_cached_scores_survive_what_the_caller_does_and_serve_a_part_of_the_gallery(matcher):
    exact = whole(FeatureScores(maps(13, 1), maps(40, 2), matcher))
    kept = CachedScores(FeatureScores(maps(13, 1), maps(40, 2), matcher))
    some = torch.tensor([3, 38, 7])
    part = kept.choose(some)
    assert part.shape == (13, 3)
    for _ in range(2):
        kept.rows(slice(3, 9)).fill_(0)  # a caller may overwrite what it gets
        part.rows(slice(3, 9)).fill_(0)
        torch.testing.assert_close(kept.rows(slice(0, 13)), exact)
        torch.testing.assert_close(part.rows(slice(2, 11)), exact[2:11, some])


def test_a_full_disk_is_named_with_the_remedy(matcher, monkeypatch):
    monkeypatch.setattr(tempfile, 'TemporaryFile', lambda: open('/dev/full', 'r+b', buffering=0))
    with pytest.raises(OSError, match='Errno 28.* TMPDIR .*keep_scores=False'):
        CachedScores(FeatureScores(maps(13, 1), maps(40, 2), matcher)).rows(slice(0, 5))
    matcher.pairs = 0
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: SimpleNamespace(free=13 * 40 * 4 - 1))
    with pytest.raises(OSError, match='0.0 GiB .*free.*TMPDIR'):
        CachedScores(FeatureScores(maps(13, 1), maps(40, 2), matcher)).rows(slice(0, 5))
    assert not matcher.pairs


def test_steps_that_cannot_work_are_refused_before_hours_of_matching(matcher):
    metric = ReIDMetric(post=[dict(type='QueryExpansion')])
    metric.matcher = matcher
    metric.process(None, samples_of(maps(13, 1), maps(40, 2)))
    with pytest.raises(ValueError, match=r'QueryExpansion .*NoticingMatcher .*\(6, 4, 3\).*post'):
        metric.evaluate(53)
    assert not matcher.pairs
    with pytest.raises(ValueError, match='KReciprocalRerank .*TLift.*post'):
        ReIDMetric(post=[TLIFT, RERANK])
