# Copyright (c) mmreid contributors. All rights reserved.
"""Ranking against a short, slow reference on random test sets: ties, missing matches, blocks, types, both loops."""

import math
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmreid.evaluation.functional import Protocol, counting_numba, rank
from mmreid.evaluation.functional.counting import ids_ahead, ranks_of


def reference(scores, q_pids, q_camids, g_pids, g_camids, protocol):
    """Sorts the whole list of each query; gives ap, inp, place of the first match, sorted gallery."""
    for row, pid, camid in zip(scores.tolist(), q_pids.tolist(), q_camids.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda j: (-row[j], j))
        order = [j for j in order if int(g_camids[j]) not in protocol.blind_cameras(camid)]
        if protocol.drop_own_camera:
            order = [j for j in order if int(g_pids[j]) != pid or int(g_camids[j]) != camid]
        ranks = [i for i, j in enumerate(order, start=1) if int(g_pids[j]) == pid]
        if not ranks:
            yield math.nan, math.nan, 0, order
            continue
        precisions = [k / r for k, r in enumerate(ranks, start=1)]
        if protocol.ap == 'trapezoid':
            corners = [(k - 1) / (r - 1) if r > 1 else 1.0 for k, r in enumerate(ranks, start=1)]
            precisions = [(a + b) / 2 for a, b in zip(precisions, corners, strict=True)]
        ahead = [int(g_pids[j]) for j in order[: ranks[0] - 1]]
        place = 1 + (len(set(ahead)) if protocol.cmc == 'ids' else len(ahead))
        yield sum(precisions) / len(ranks), len(ranks) / ranks[-1], place, order


@st.composite
def random_test_sets(draw):
    """Random scores (with many ties, and infinities), identities and cameras."""
    num_query, num_gallery = draw(st.integers(1, 7)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    levels = draw(st.sampled_from([1, 3, 10, 10**6]))
    scores = torch.from_numpy(rng.integers(0, levels, (num_query, num_gallery)) / 7.0)
    if draw(st.booleans()):
        scores[torch.from_numpy(rng.random(scores.shape) < 0.2)] = draw(st.sampled_from([math.inf, -math.inf]))
    num_ids, num_cameras = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    labels = [
        torch.from_numpy(rng.integers(0, high, count))
        for count in (num_query, num_gallery)
        for high in (num_ids, num_cameras)
    ]
    return scores.to(draw(st.sampled_from([torch.float32, torch.float64]))), labels


protocols = st.builds(
    Protocol,
    drop_own_camera=st.booleans(),
    blind_pairs=st.sampled_from([(), ((0, 1),), ((0, 1), (0, 0), (2, 1))]),
    cmc=st.sampled_from(['images', 'ids']),
    ap=st.sampled_from(['precision', 'trapezoid']),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(random_test_sets(), protocols, st.integers(1, 500), st.integers(1, 50))
def test_equals_the_reference(test_set, protocol, memory, keep_top):
    scores, labels = test_set
    result = rank(scores, *labels, protocol, memory=memory, keep_top=keep_top, max_rank=60)
    expected = list(reference(scores, *labels, protocol))
    ap, inp, places, orders = (list(column) for column in zip(*expected, strict=True))
    np.testing.assert_allclose(result.ap, ap, atol=1e-12)
    np.testing.assert_allclose(result.inp, inp, atol=1e-12)
    assert result.places.flatten().tolist() == places
    for top, order in zip(result.top.tolist(), orders, strict=True):
        assert top == (order + [-1] * keep_top)[:keep_top]
    valid = [place for place in places if place]
    assert result.num_valid == len(valid)
    if valid:
        assert result.cmc.tolist() == pytest.approx([sum(p <= k for p in valid) / len(valid) for k in range(1, 61)])


@settings(max_examples=50, deadline=None, derandomize=True)
@given(random_test_sets(), protocols, st.randoms())
def test_order_of_queries_and_of_untied_galleries_does_not_matter(test_set, protocol, random):
    scores, (q_pids, q_camids, g_pids, g_camids) = test_set
    scores = scores.flatten().argsort().argsort().reshape(scores.shape).double()  # no two are equal
    q, g = (torch.tensor(random.sample(range(n), n)) for n in scores.shape)
    plain = rank(scores, q_pids, q_camids, g_pids, g_camids, protocol)
    moved = rank(scores[q][:, g], q_pids[q], q_camids[q], g_pids[g], g_camids[g], protocol)
    for name in ('ap', 'inp', 'first_match', 'num_matches', 'places'):
        assert torch.equal(getattr(moved, name).nan_to_num(-1), getattr(plain, name)[q].nan_to_num(-1))


needs_numba = pytest.mark.skipif(not counting_numba.available(), reason='numba is not installed')


def both_loops(rows, row, column, first, codes):
    """Ranks and counts of identities in plain torch and compiled, on one to three threads."""
    num_ids, before = int(codes.max()) + 1, torch.get_num_threads()
    with mock.patch.object(counting_numba, 'is_loaded', return_value=False):
        plain = *ranks_of(rows, row, column, 0), ids_ahead(rows, first, codes, num_ids, 0)
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        try:
            work = counting_numba.WORTHWHILE
            compiled = *ranks_of(rows, row, column, work), ids_ahead(rows, first, codes, num_ids, work)
        finally:
            torch.set_num_threads(before)
        yield from zip(plain, compiled, strict=True)


@needs_numba
@settings(max_examples=60, deadline=None, derandomize=True)
@given(random_test_sets())
def test_compiled_loops_equal_plain_torch(test_set):
    rows, (_, _, g_pids, _) = test_set
    rows[rows.isinf()] = math.nan
    codes = g_pids.unique(return_inverse=True)[1]
    row, column = (~rows.isnan() & (g_pids == 0)).nonzero(as_tuple=True)
    first = torch.full((len(rows),), -1).index_copy(0, row, column)
    for plain, compiled in both_loops(rows, row, column, first, codes):
        assert plain.dtype == compiled.dtype and torch.equal(plain, compiled)


@needs_numba
@pytest.mark.parametrize('num_gallery', [counting_numba.TILE - 1, counting_numba.TILE, 2 * counting_numba.TILE + 809])
def test_compiled_loops_equal_plain_torch_around_the_ends_of_tiles(num_gallery):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(0, 50, (5, num_gallery), generator=generator).float()
    places = torch.tensor([0, 1, 4094, 4095, 4096, 4097, 8191, 8192, num_gallery - 1])
    places = places[places < num_gallery].unique()
    row, column = torch.arange(5).repeat_interleave(len(places)), places.repeat(5)
    codes = torch.randint(0, 99, (num_gallery,), generator=generator)
    for plain, compiled in both_loops(rows, row, column, column[[0, 3, 4, 5, -1]], codes):
        assert torch.equal(plain, compiled)


@needs_numba
def test_compiled_loops_without_a_folder_to_keep_them_in():
    def refuses_to_cache(**options):
        if options.get('cache'):
            raise RuntimeError('cannot cache function: no locator available')
        return lambda function: function

    with mock.patch('numba.njit', refuses_to_cache):
        compiled = counting_numba._compiled.__wrapped__(counting_numba.count_ahead)
    assert compiled is counting_numba.count_ahead


def test_without_numba_ranking_goes_on_in_plain_torch(mmreid_log):
    with mock.patch.dict('sys.modules', numba=None):
        assert not counting_numba.available.__wrapped__()
    assert 'ranking runs without compiled loops' in mmreid_log.text
    scores = torch.randn(3, 9)
    labels = [torch.randint(0, 2, (n,)) for n in (3, 3, 9, 9)]
    with (
        mock.patch.object(counting_numba, 'available', return_value=False),
        mock.patch.object(counting_numba, 'run', side_effect=AssertionError),
    ):
        assert torch.equal(rank(scores, *labels).ap.nan_to_num(), rank(scores.double(), *labels).ap.nan_to_num())
