# Copyright (c) mmreid contributors. All rights reserved.
"""Ranking against the outputs of the reference implementations (tests/data/golden)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmreid.evaluation.functional import MARKET1501, Protocol, rank, rank_distances, scorable_queries
from mmreid.models import CosineMatcher, EuclideanMatcher
from mmreid.models.utils import squared_euclidean_distance

NAN = float('nan')
GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'
CASES = [
    'plain',
    'novalid',
    'ties',
    'alltied',
    'float64',
    'junk_distractor',
    'small_gallery',
    'short_after_filter',
    'single',
]


def load(case: str) -> dict:
    with np.load(GOLDEN / f'01_rank_{case}.npz') as file:
        return {key: file[key] for key in file.files}


def target(data: dict, key: str) -> np.ndarray:
    """Ties: references sort unstably, so their 'stable/' outputs are the target where they exist."""
    return data.get(f'stable/{key}', data.get(key))


ALL_CAMERAS = Protocol(drop_own_camera=False)


def ranked(data: dict, protocol: Protocol = MARKET1501, max_rank: int = 100, keep=None, **kwargs):
    keep = np.ones(len(data['g_pids']), dtype=bool) if keep is None else keep
    ids = {key: torch.from_numpy(data[key]) for key in ('q_pids', 'q_camids', 'g_pids', 'g_camids')}
    ids['g_pids'], ids['g_camids'] = ids['g_pids'][keep], ids['g_camids'][keep]
    distances = torch.from_numpy(data['distmat'][:, keep])
    return rank_distances(distances, *ids.values(), protocol=protocol, max_rank=max_rank, **kwargs)


@pytest.mark.parametrize('case', CASES)
def test_cmc_equals_open_reid(case):
    data = load(case)
    np.testing.assert_allclose(ranked(data).cmc, target(data, 'openreid.cmc'), atol=1e-9)


@pytest.mark.parametrize('case', CASES)
def test_cmc_of_all_matches_equals_open_reid_without_its_switches(case):
    data, protocol = load(case), Protocol(cmc='matches')
    result = ranked(data, protocol)
    np.testing.assert_allclose(result.cmc, target(data, 'openreid_allshots.cmc'), atol=1e-9)
    # One query at a time: blocks whose queries have different numbers of matches are joined.
    assert torch.equal(ranked(data, protocol, memory=1).cmc, result.cmc)


def slow_ap_and_first_match(distances, match) -> tuple[float, int]:
    """Walks one query's gallery in order of distance, ties in gallery order."""
    found, precisions, first = 0, [], 0
    for place, index in enumerate(sorted(range(len(distances)), key=lambda i: distances[i]), start=1):
        if match[index]:
            found += 1
            first = first or place
            precisions.append(found / place)
    return sum(precisions) / len(precisions), first


@pytest.mark.parametrize('case', ['plain', 'ties', 'small_gallery'])
def test_without_camera_rule_equals_a_walk_through_the_list(case):
    data = load(case)
    result = ranked(data, protocol=ALL_CAMERAS)
    for query in range(0, len(data['q_pids']), 7):
        match = data['g_pids'] == data['q_pids'][query]
        if match.any():
            ap, first = slow_ap_and_first_match(data['distmat'][query], match)
            assert float(result.ap[query]) == pytest.approx(ap, abs=1e-12)
            assert int(result.first_match[query]) == first


@pytest.mark.parametrize('case', CASES)
def test_trapezoid_map_and_cmc_equal_ecn(case):
    data = load(case)
    result = ranked(data, protocol=Protocol(ap='trapezoid'))
    assert abs(result.mean_ap - float(target(data, 'ecn.mAP'))) < 1e-6
    np.testing.assert_allclose(result.cmc, target(data, 'ecn.cmc'), atol=1e-6)


@pytest.mark.parametrize('case', [case for case in CASES if case != 'short_after_filter'])
@pytest.mark.parametrize('peer', ['torchreid_py', 'fastreid_py'])
def test_cmc_and_map_equal_peers(case, peer):
    data = load(case)
    result = ranked(data)
    cmc = target(data, f'{peer}.cmc') if f'{peer}.cmc' in data else target(data, 'torchreid_py.cmc')
    np.testing.assert_allclose(result.cmc[: len(cmc)], cmc, atol=1e-6)
    assert abs(result.mean_ap - float(target(data, f'{peer}.mAP'))) < 1e-6


@pytest.mark.parametrize('case', [case for case in CASES if case != 'short_after_filter'])
def test_minp_and_every_ap_equal_fastreid(case):
    data = load(case)
    result = ranked(data)
    assert abs(result.mean_inp - float(target(data, 'fastreid_py.mINP'))) < 1e-6
    np.testing.assert_allclose(result.ap[result.valid], target(data, 'fastreid_py.all_AP'), atol=1e-6)
    np.testing.assert_allclose(result.inp[result.valid], target(data, 'fastreid_py.all_INP'), atol=1e-6)


def test_short_gallery_after_filter_has_map_where_python_peers_raise():
    data = load('short_after_filter')
    assert abs(ranked(data).mean_ap - float(data['torchreid_cy.mAP'])) < 1e-6


def test_junk_is_dropped_by_data_sets_and_distractors_stay():
    data = load('junk_distractor')
    result = ranked(data, keep=data['g_pids'] != -1)
    assert (data['g_pids'] == 0).any()
    assert abs(result.mean_ap - float(target(data, 'junk_removed/torchreid_py.mAP'))) < 1e-6


@pytest.mark.parametrize('case', ['plain', 'ties', 'novalid'])
def test_blocks_do_not_change_anything(case):
    data = load(case)
    whole, blocks = ranked(data, keep_top=7), ranked(data, keep_top=7, memory=7 * 4 * len(data['g_pids']))
    for name in ('cmc', 'ap', 'inp', 'first_match', 'num_matches', 'top', 'top_scores'):
        torch.testing.assert_close(getattr(whole, name), getattr(blocks, name), rtol=0, atol=0, equal_nan=True)


def test_float64_order_is_kept():
    data = load('float64')
    as_float32 = dict(data, distmat=data['distmat'].astype(np.float32))
    assert abs(ranked(data).mean_ap - ranked(as_float32).mean_ap) > 1e-3


def test_top_lists_kept_images_in_order():
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.8]])
    result = rank(scores, *map(torch.tensor, ([1], [0], [1, 2, 1, 1], [0, 0, 1, 1])), keep_top=5, max_rank=3)
    assert result.top.tolist() == [[1, 3, 2, -1, -1]]  # 0 is the query's own camera; 1 and 3 tie
    torch.testing.assert_close(result.top_scores, torch.tensor([[0.8, 0.8, 0.7, NAN, NAN]]), equal_nan=True)
    assert result.cmc.tolist() == [0, 1, 1]
    assert float(result.ap) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert float(result.inp) == pytest.approx(2 / 3)


@pytest.mark.parametrize('protocol', [MARKET1501, ALL_CAMERAS, Protocol(blind_pairs=((0, 1), (0, 2), (3, 1)))])
@pytest.mark.parametrize('case', ['plain', 'novalid', 'single'])
def test_scorable_queries_agree_with_the_ranking(case, protocol):
    data = load(case)
    ids = [torch.from_numpy(data[key]) for key in ('q_pids', 'q_camids', 'g_pids', 'g_camids')]
    valid = ranked(data, protocol=protocol).valid
    assert torch.equal(scorable_queries(*ids, protocol=protocol), valid)


def test_empty_query_or_gallery_is_refused():
    ids = [torch.tensor(x) for x in ([1, 1], [0, 0], [1, 2], [1, 1])]
    with pytest.raises(ValueError, match='2 queries .*0 gallery'):
        rank(torch.zeros(2, 0), ids[0], ids[1], ids[2][:0], ids[3][:0])
    with pytest.raises(ValueError, match='0 queries .*2 gallery'):
        rank(torch.zeros(0, 2), ids[0][:0], ids[1][:0], ids[2], ids[3])


def test_shapes_that_do_not_fit_are_refused():
    ids = [torch.tensor(x) for x in ([1, 1], [0, 0], [1, 2], [1, 1])]
    for shape in ((2, 3), (3, 2)):
        with pytest.raises(ValueError, match=f'{shape[0]} queries and {shape[1]} gallery .*2 and 2'):
            rank(torch.zeros(shape), *ids)
    with pytest.raises(ValueError, match=r'queries 0..1 .*\(2, 3\).*\(2, 2\)'):
        rank(lambda block: torch.zeros(2, 3), *ids)
    with pytest.raises(ValueError, match=r'gallery pids .*\(2,\), camids \(1,\)'):
        rank(torch.zeros(2, 2), *ids[:3], ids[3][:1])
    with pytest.raises(ValueError, match="cmc='best' of Protocol"):
        Protocol(cmc='best')


def test_no_scorable_query_gives_nan_not_a_crash():
    ids = map(torch.tensor, ([5], [0], [1, 2], [1, 1]))
    result = rank(torch.zeros(1, 2), *ids, max_rank=2, keep_top=2)
    assert result.num_valid == 0 and result.top.tolist() == [[0, 1]]
    assert result.cmc.isnan().all() and np.isnan([result.mean_ap, result.mean_inp]).all()


def test_infinite_scores_rank_and_only_nan_of_images_in_sight_is_refused():
    ids = [torch.tensor(x) for x in ([1, 1], [0, 0], [1, 2, 1], [1, 1, 0])]
    scores = torch.tensor([[float('inf'), 0.0, NAN], [-float('inf'), -float('inf'), NAN]])  # image 2 is left out
    assert rank(scores, *ids).first_match.tolist() == [1, 1]
    scores[1, 1] = NAN
    with pytest.raises(ValueError, match='query 1 .*gallery image 1 .*NaN'):
        rank(scores, *ids)
    with pytest.raises(ValueError, match='query 1 .*gallery image 1 .*NaN'):
        rank(scores, *ids, memory=1)


def test_given_scores_are_not_changed():
    ids = [torch.tensor(x) for x in ([1], [0], [1, 1], [0, 1])]
    scores = torch.tensor([[0.5, 0.2]])
    rank(scores, *ids, roc_fpr=1.0, keep_top=1)
    rank(lambda block: scores[block], *ids, roc_fpr=1.0)
    assert scores.tolist() == torch.tensor([[0.5, 0.2]]).tolist()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.int32])
def test_other_types_rank_as_their_float64(dtype):
    data = load('ties')
    ids = [torch.from_numpy(data[key]) for key in ('q_pids', 'q_camids', 'g_pids', 'g_camids')]
    scores = (-10 * torch.from_numpy(data['distmat'])).to(dtype)
    torch.testing.assert_close(rank(scores, *ids).ap, rank(scores.double(), *ids).ap, rtol=0, atol=0, equal_nan=True)


def test_distance_equals_torchreid():
    with np.load(GOLDEN / '01_distance.npz') as data:
        feats = torch.from_numpy(data['fq']), torch.from_numpy(data['fg'])
        np.testing.assert_allclose(
            squared_euclidean_distance(*feats), data['torchreid_euclidean_sq'], rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(-EuclideanMatcher()(*feats), data['torchreid_euclidean_sq'], rtol=1e-4, atol=1e-4)


def test_cosine_matcher_equals_torchreid():
    with np.load(GOLDEN / '01_distance.npz') as data:
        scores = CosineMatcher()(torch.from_numpy(data['fq']), torch.from_numpy(data['fg']))
        np.testing.assert_allclose(1 - scores, data['torchreid_cosine'], atol=1e-4)
