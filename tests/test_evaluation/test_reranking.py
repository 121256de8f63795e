# Copyright (c) mmreid contributors. All rights reserved.
"""Re-ranking against torchreid, fast-reid, QAConv and OpenUnReID (tests/data/golden), and against dense matrices."""

from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from mmreid.evaluation import RetrievalSet
from mmreid.evaluation.functional import FeaturePairs, MatrixPairs, counting_numba, rank, rerank
from mmreid.evaluation.postprocessing import KReciprocalRerank, QueryExpansion, post_process
from mmreid.models import CosineMatcher, EuclideanMatcher
from mmreid.registry import TASK_UTILS

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'
CASES = np.load(GOLDEN / '06_rerank.npz')
SETTINGS = [(i, int(k1), int(k2), value) for i, (k1, k2, value) in enumerate(CASES['params_k1_k2_lambda'])]


def golden(name):
    return torch.from_numpy(CASES[name])


def distances(scores, num_query):
    return -scores.rows(slice(0, num_query))


def dense(dist, num_query, k1, k2, weight, squared):
    """Re-ranks with whole matrices and sets."""
    num = len(dist)
    dist = dist / dist.max(1, keepdims=True)
    dist = dist**2 if squared else dist
    lists = np.argsort(dist, axis=1, kind='stable')

    def mutual(i, k):
        return {j for j in lists[i, : k + 1] if i in lists[j, : k + 1]}

    encodings = np.zeros((num, num))
    for i in range(num):
        own = mutual(i, k1)
        members = set(own)
        for j in own:
            brought = mutual(j, round(k1 / 2))
            if 3 * len(brought & own) > 2 * len(brought):
                members |= brought
        members = sorted(members)
        encodings[i, members] = np.exp(-dist[i, members])
        encodings[i] /= max(encodings[i].sum(), 1e-300)
    if k2 > 1:  # among equal distances, the first of a list may be another image
        encodings = np.stack([encodings[lists[i, :k2]].mean(0) for i in range(num)])
    overlap = np.stack([np.minimum(encodings[i], encodings[num_query:]).sum(1) for i in range(num_query)])
    return (1 - weight) * (1 - overlap / (2 - overlap)) + weight * dist[:num_query, num_query:]


def pairs_of(dist, num_query):
    dist = torch.as_tensor(dist)
    q, g = slice(0, num_query), slice(num_query, None)
    return MatrixPairs(dist[q, q], dist[q, g], dist[g, g], negate=True)


@pytest.mark.parametrize(('i', 'k1', 'k2', 'weight'), SETTINGS)
def test_published_variants(i, k1, k2, weight):
    feat = golden('feat')
    matrices = MatrixPairs(golden('q_q_dist'), golden('q_g_dist'), golden('g_g_dist'), negate=True)
    ours = distances(rerank(matrices, 20, k1, k2, weight, 'squared'), 20)
    torch.testing.assert_close(ours, golden(f'torchreid_fastreid{i}'), rtol=0, atol=1e-5)
    ours = distances(rerank(matrices, 20, k1, k2, weight, 'plain'), 20)
    torch.testing.assert_close(ours, golden(f'qaconv{i}'), rtol=0, atol=5e-3)  # half precision there
    ours = distances(rerank(FeaturePairs([feat[:20], feat[20:]], EuclideanMatcher()), 20, k1, k2, 0, 'jaccard'), 20)
    torch.testing.assert_close(ours, golden(f'fastreid_jaccard{i}'), rtol=0, atol=1e-5)
    torch.testing.assert_close(ours, golden(f'openunreid_jaccard{i}'), rtol=0, atol=1e-5)


def test_negative_distances_as_qaconv_uses_them():
    data = np.load(GOLDEN / '06_rerank_qaconv_negscore.npz')
    ours = distances(rerank(pairs_of(data['dist'], 20), 20, variant='plain'), 20)
    torch.testing.assert_close(ours, torch.from_numpy(data['final']), rtol=0, atol=5e-3)
    with pytest.raises(ValueError, match="image 0 .*squared.*variant='jaccard'"):
        rerank(pairs_of(data['dist'], 20), 20, variant='squared')
    with pytest.raises(ValueError, match="image 0 .*largest.*variant='jaccard'"):
        rerank(pairs_of(data['dist'] - 100, 20), 20, variant='plain')


@pytest.mark.parametrize('compiled', [True, False])
@pytest.mark.parametrize('shape', [(1, 1), (1, 2), (5, 1), (1, 30), (17, 60)])
@pytest.mark.parametrize('levels', [None, 3])
def test_equals_dense_matrices(monkeypatch, shape, levels, compiled):
    monkeypatch.setattr('mmreid.evaluation.functional.nearest._compiles', lambda *_: compiled)
    monkeypatch.setattr('mmreid.evaluation.functional.reciprocal.CHUNK', 7)
    monkeypatch.setattr('mmreid.evaluation.functional.sparse_rows.CHUNK', 5)
    monkeypatch.setattr('mmreid.evaluation.functional.reranking.PICK_ROWS', 2)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        k1, k2, weight, squared = rng.integers(1, 25), rng.integers(1, 9), rng.random(), bool(rng.integers(2))
        feats = rng.standard_normal((sum(shape), 3))
        if levels:  # many equal distances, among them 0
            feats = rng.integers(0, levels, feats.shape).astype(float)
            feats[0] += 5
        dist = np.square(feats[:, None] - feats).sum(-1)
        variant = 'squared' if squared else 'plain'
        scores = rerank(pairs_of(dist, shape[0]), shape[0], k1, k2, weight, variant, memory=3 * 8 * len(dist))
        wanted = dense(dist, shape[0], k1, k2, weight, squared)
        blocks = [-scores.rows(slice(i, min(i + 4, shape[0]))) for i in range(0, shape[0], 4)]
        np.testing.assert_allclose(torch.cat(blocks).numpy(), wanted, rtol=0, atol=1e-6)


def test_images_that_are_all_alike():
    scores = rerank(pairs_of(np.zeros((9, 9)), 3), 3, k1=3)
    assert scores.rows(slice(0, 3)).isfinite().all()


def make_sets():
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(12, 16, generator=generator)
    sets = []
    for count in (12, 72):
        pids = torch.arange(count) % 12
        feats = centers[pids] + 1.2 * torch.randn(count, 16, generator=generator)
        camids = torch.randint(0, 4, (count,), generator=generator)
        sets.append(RetrievalSet(pids, camids, feats, img_path=[f'{i}.jpg' for i in range(count)]))
    return sets


def test_steps_from_a_config_rank_better_than_the_matcher_alone():
    query, gallery = make_sets()
    labels = [query.pid, query.camid, gallery.pid, gallery.camid]
    plain = rank(post_process([], query, gallery, CosineMatcher()), *labels).mean_ap
    cfgs = [
        dict(type='QueryExpansion', k=3),
        dict(type='KReciprocalRerank', k1=6, k2=2, variant='jaccard'),
    ]
    for chosen in (cfgs[:1], cfgs[1:], cfgs):
        steps = [TASK_UTILS.build(cfg) for cfg in chosen]
        assert rank(post_process(steps, query, gallery, CosineMatcher()), *labels).mean_ap > plain + 0.02


def test_cosine_and_euclidean_agree_where_they_must():
    query, gallery = make_sets()
    sets = [replace(part, feature=torch.nn.functional.normalize(part.feature)) for part in (query, gallery)]
    for variant in ('squared', 'plain'):
        step = KReciprocalRerank(variant=variant)
        cosine, euclidean = (
            step(*sets, matcher).rows(slice(0, 12)) for matcher in (CosineMatcher(), EuclideanMatcher())
        )
        torch.testing.assert_close(cosine, euclidean, rtol=0, atol=1e-5)
    step = KReciprocalRerank(variant='jaccard', lambda_value=0)  # weights need the squared distance, 2 (1 - cosine)
    cosine, euclidean = (step(*sets, matcher).rows(slice(0, 12)) for matcher in (CosineMatcher(), EuclideanMatcher()))
    torch.testing.assert_close(cosine, euclidean, rtol=0, atol=1e-5)


def test_a_matcher_of_unknown_scale_needs_a_choice():
    query, gallery = make_sets()

    def matcher(q, g):
        return 20 * (q @ g.t())

    with pytest.raises(ValueError, match="KReciprocalRerank .*function .*distance .*'one_minus'"):
        KReciprocalRerank()(query, gallery, matcher)
    scores = KReciprocalRerank(distance='logistic')(query, gallery, matcher).rows(slice(0, 12))
    assert scores.isfinite().all() and scores.max() <= 0


def test_a_matcher_of_ones_own_declares_its_scale():
    class TwentyFold(CosineMatcher):
        distance = 'logistic'

        def score(self, query, gallery, out=None):
            return super().score(query, gallery, out).mul_(20)

    query, gallery = make_sets()
    scores, chosen = (
        KReciprocalRerank(distance=distance)(query, gallery, TwentyFold()).rows(slice(0, 12)).clone()
        for distance in (None, 'logistic')
    )
    assert torch.equal(scores, chosen)


def test_order_and_identities():
    query, gallery = make_sets()
    seen = []

    def spy(query, gallery, matcher, device=None, scores=None):
        seen.append((set(query.known()) | set(gallery.known()), scores is not None))
        return query, gallery

    post_process([spy, KReciprocalRerank()], query, gallery, CosineMatcher())
    assert seen == [({'feature', 'camid', 'img_path'}, False)]
    with pytest.raises(ValueError, match='QueryExpansion .*features'):
        post_process([KReciprocalRerank(), QueryExpansion()], query, gallery, CosineMatcher())
    with pytest.raises(ValueError, match='KReciprocalRerank .*features'):
        post_process([KReciprocalRerank(), KReciprocalRerank()], query, gallery, CosineMatcher())


def test_bad_input_is_named():
    query, gallery = make_sets()
    gallery.feature[5, 2] = float('nan')
    with pytest.raises(ValueError, match=r'gallery image 5 \(5.jpg\) .*NaN'):
        post_process([KReciprocalRerank()], query, gallery, CosineMatcher())
    none = gallery.take(torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match='0 gallery images'):
        post_process([KReciprocalRerank()], query, none, CosineMatcher())
    with pytest.raises(ValueError, match='3 queries .*3 images'):
        rerank(pairs_of(np.zeros((3, 3)), 3), 3)
    for settings in (dict(k1=0), dict(k2=0), dict(lambda_value=1.5), dict(variant='raw'), dict(distance='cosine')):
        with pytest.raises(ValueError, match='{}={!r}'.format(*next(iter(settings.items())))):
            KReciprocalRerank(**settings)


@pytest.mark.skipif(not counting_numba.available(), reason='numba is not installed')
def test_compiled_overlaps_equal_plain_ones():
    generator = torch.Generator().manual_seed(0)
    pairs = FeaturePairs([torch.randn(n, 4, generator=generator) for n in (13, 50)], CosineMatcher())
    scores = rerank(pairs, 13, 9, 4, variant='jaccard')
    for block in (slice(0, 13), slice(5, 11)):
        with mock.patch.object(counting_numba, 'is_loaded', return_value=False):
            plain = scores._overlap(block)
        with mock.patch.object(counting_numba, 'is_loaded', return_value=True):
            compiled = scores._overlap(block)
        assert (plain > 0).sum() > 100 and torch.equal(plain, compiled)
