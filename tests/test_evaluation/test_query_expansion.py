# Copyright (c) mmreid contributors. All rights reserved.
"""Query expansion against fast-reid (tests/data/golden) and against whole matrices."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmreid.evaluation.functional import expand_queries
from mmreid.evaluation.postprocessing import QueryExpansion

CASES = np.load(Path(__file__).parents[1] / 'data' / 'golden' / '08_fastreid_aqe.npz')


def golden(name):
    return torch.from_numpy(CASES[name])


def dense(feats, table, k, alpha):
    """Expands features by those of a table, with a whole matrix of similarities."""
    unit = torch.nn.functional.normalize(feats)
    similarity, index = (unit @ torch.nn.functional.normalize(table).t()).sort(dim=1, descending=True, stable=True)
    weights = similarity[:, :k].clamp_min(0) ** alpha
    return (weights[..., None] * table[index[:, :k]]).mean(1)


@pytest.mark.parametrize('compiled', [True, False])
@pytest.mark.parametrize(
    ('i', 'times', 'k', 'alpha'), [(i, *row) for i, row in enumerate(CASES['params_times_k_alpha'])]
)
def test_fast_reid(monkeypatch, i, times, k, alpha, compiled):
    monkeypatch.setattr('mmreid.evaluation.functional.nearest._compiles', lambda *_: compiled)
    query, gallery = expand_queries(
        golden('query_feat'), golden('gallery_feat'), int(k), alpha, int(times), memory=4000
    )
    torch.testing.assert_close(query, golden(f'q{i}'), rtol=0, atol=1e-5)
    torch.testing.assert_close(gallery, golden(f'g{i}'), rtol=0, atol=1e-5)


@pytest.mark.parametrize('shape', [(1, 1), (1, 40), (30, 50), (5, 2)])
@pytest.mark.parametrize('k', [1, 4, 100])
def test_equals_whole_matrices(shape, k):
    generator = torch.Generator().manual_seed(k)
    q, g = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in shape)
    both = torch.cat([q, g])
    wanted = dense(both, both, k, 2.0)
    new = torch.cat(expand_queries(q, g, k, 2.0, memory=5 * 8 * len(both)))
    torch.testing.assert_close(new, wanted)


def test_queries_alone_do_not_see_each_other():
    q, g = golden('query_feat'), golden('gallery_feat')
    new, same = expand_queries(q, g, 5, 3.0, sides='query')
    assert same is g
    alone = torch.cat([expand_queries(one[None], g, 5, 3.0, sides='query')[0] for one in q])
    torch.testing.assert_close(new, alone)
    wanted = torch.stack([dense(one[None], torch.cat([one[None], g]), 5, 3.0)[0] for one in q])
    torch.testing.assert_close(new, wanted)
    assert torch.equal(expand_queries(q, g, 1, sides='query')[0], q)


def test_zero_and_opposite_features_stay_finite():
    q, g = torch.zeros(1, 3), torch.tensor([[-1.0, 0, 0], [1.0, 0, 0]])
    new = torch.cat(expand_queries(q, g, 3, 0.5))
    assert torch.equal(new, torch.tensor([[0.0, 0, 0], [-1 / 3, 0, 0], [1 / 3, 0, 0]]))


def test_half_features_are_widened_and_inputs_kept():
    q, g = golden('query_feat').half(), golden('gallery_feat').half()
    copies = q.clone(), g.clone()
    new = expand_queries(q, g)
    assert new[0].dtype == torch.float32
    assert torch.equal(q, copies[0]) and torch.equal(g, copies[1])


def test_bad_input_is_named():
    q, g = golden('query_feat'), golden('gallery_feat').clone()
    with pytest.raises(ValueError, match=r'\(20, 16, 1\) .*\(90, 16, 1\)'):
        expand_queries(q[:, :, None], g[:, :, None])
    g[7, 0] = float('inf')
    with pytest.raises(ValueError, match='gallery image 7 .*infinite'):
        expand_queries(q, g)
    for settings in (dict(k=0), dict(alpha=-1), dict(times=0), dict(sides='gallery')):
        with pytest.raises(ValueError, match='{}={!r}'.format(*next(iter(settings.items())))):
            QueryExpansion(**settings)
