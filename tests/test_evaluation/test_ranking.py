# Copyright (c) mmreid contributors. All rights reserved.
"""Ranking against the outputs of the reference implementations (tests/data/golden)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmreid.evaluation.functional import rank, scorable_queries
from mmreid.models.utils import squared_euclidean_distance

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


def ranked(data: dict, cross_camera: bool = True, max_rank: int = 100, keep=None, **kwargs):
    keep = np.ones(len(data['g_pids']), dtype=bool) if keep is None else keep
    ids = {key: torch.from_numpy(data[key]) for key in ('q_pids', 'q_camids', 'g_pids', 'g_camids')}
    ids['g_pids'], ids['g_camids'] = ids['g_pids'][keep], ids['g_camids'][keep]
    scores = -torch.from_numpy(data['distmat'][:, keep])
    return rank(scores, **ids, cross_camera=cross_camera, max_rank=max_rank, **kwargs)


@pytest.mark.parametrize('case', CASES)
def test_cmc_equals_open_reid(case):
    data = load(case)
    np.testing.assert_allclose(ranked(data).cmc, target(data, 'openreid.cmc'), atol=1e-9)


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
    result = ranked(data, cross_camera=False)
    for query in range(0, len(data['q_pids']), 7):
        match = data['g_pids'] == data['q_pids'][query]
        if match.any():
            ap, first = slow_ap_and_first_match(data['distmat'][query], match)
            assert float(result.ap[query]) == pytest.approx(ap, abs=1e-12)
            assert int(result.first_match[query]) == first


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
    whole, blocks = ranked(data, keep_top=7), ranked(data, keep_top=7, block_elements=3 * len(data['g_pids']))
    for name in ('cmc', 'ap', 'inp', 'first_match', 'top'):
        torch.testing.assert_close(getattr(whole, name), getattr(blocks, name), rtol=0, atol=0, equal_nan=True)


def test_float64_order_is_kept():
    data = load('float64')
    as_float32 = dict(data, distmat=data['distmat'].astype(np.float32))
    assert abs(ranked(data).mean_ap - ranked(as_float32).mean_ap) > 1e-3


def test_top_lists_kept_images_in_order():
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.8]])
    result = rank(
        scores, *map(torch.tensor, ([1], [0], [1, 2, 1, 1], [0, 0, 1, 1])), cross_camera=True, keep_top=5, max_rank=3
    )
    assert result.top.tolist() == [[1, 3, 2, -1, -1]]  # 0 is the query's own camera; 1 and 3 tie
    assert result.cmc.tolist() == [0, 1, 1]
    assert float(result.ap) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert float(result.inp) == pytest.approx(2 / 3)


@pytest.mark.parametrize('cross_camera', [True, False])
@pytest.mark.parametrize('case', ['plain', 'novalid', 'single'])
def test_scorable_queries_agree_with_the_ranking(case, cross_camera):
    data = load(case)
    ids = [torch.from_numpy(data[key]) for key in ('q_pids', 'q_camids', 'g_pids', 'g_camids')]
    valid = ranked(data, cross_camera=cross_camera).valid
    assert torch.equal(scorable_queries(*ids, cross_camera=cross_camera), valid)


def test_nan_and_empty_are_named():
    ids = [torch.tensor(x) for x in ([1, 1], [0, 0], [1, 2], [1, 1])]
    with pytest.raises(ValueError, match='query 1 has NaN'):
        rank(torch.tensor([[0.0, 1.0], [0.0, float('nan')]]), *ids)
    with pytest.raises(ValueError, match='2 queries against 0 gallery'):
        rank(torch.zeros(2, 0), ids[0], ids[1], ids[2][:0], ids[3][:0])


def test_no_scorable_query_gives_zero_cmc_not_a_crash():
    result = rank(torch.zeros(1, 2), *map(torch.tensor, ([5], [0], [1, 2], [1, 1])), max_rank=2)
    assert result.num_valid == 0 and result.cmc.tolist() == [0, 0]


def test_distance_equals_torchreid():
    with np.load(GOLDEN / '01_distance.npz') as data:
        distance = squared_euclidean_distance(torch.from_numpy(data['fq']), torch.from_numpy(data['fg']))
        np.testing.assert_allclose(distance, data['torchreid_euclidean_sq'], rtol=1e-4, atol=1e-4)


def test_cosine_matcher_equals_torchreid():
    from mmreid.models.matchers import CosineMatcher

    with np.load(GOLDEN / '01_distance.npz') as data:
        scores = CosineMatcher()(torch.from_numpy(data['fq']), torch.from_numpy(data['fg']))
        np.testing.assert_allclose(1 - scores, data['torchreid_cosine'], atol=1e-4)
