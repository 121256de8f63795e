# Copyright (c) mmreid contributors. All rights reserved.
"""Ranking under the rules of SYSU-MM01 and RegDB against the outputs of CM-NAS and AGW (tests/data/golden)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmreid.evaluation.functional import REGDB, SYSU_MM01, rank, rank_distances

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'
SYSU = replace(SYSU_MM01, blind_pairs=((3, 2),))  # cameras of the golden data count from 1
CASES = {f'sysu_{name}': SYSU for name in ('all_single', 'all_multi', 'indoor_single', 'novalid', 'ties', 'few_ids')}
CASES.update(regdb_plain=REGDB, regdb_ties=REGDB)


def ranked(case: str, protocol):
    with np.load(GOLDEN / f'02_{case}.npz') as file:
        data = {key: file[key] for key in file.files}
    q_pids, g_pids = (torch.from_numpy(data[key]) for key in ('q_pids', 'g_pids'))
    q_camids = torch.from_numpy(data.get('q_camids', np.zeros_like(data['q_pids'])))
    g_camids = torch.from_numpy(data.get('g_camids', np.ones_like(data['g_pids'])))
    distances = torch.from_numpy(data['distmat'])
    return data, rank_distances(distances, q_pids, q_camids, g_pids, g_camids, protocol=protocol, max_rank=20)


@pytest.mark.parametrize(('case', 'protocol'), CASES.items())
def test_equal_to_the_references(case, protocol):
    data, result = ranked(case, protocol)
    cmc = data['stable/agw.cmc']  # with fewer than 20 identities the references stop early
    np.testing.assert_allclose(result.cmc[: len(cmc)], cmc, atol=1e-6)
    np.testing.assert_allclose(result.cmc[len(cmc) :], cmc[-1], atol=1e-6)
    assert result.mean_ap == pytest.approx(float(data['stable/cmnas.mAP']), abs=1e-6)
    assert result.mean_inp == pytest.approx(float(data['stable/agw.mINP']), abs=1e-6)


def test_galleries_of_different_length_where_the_references_raise():
    data, result = ranked('sysu_few_ids_ragged', SYSU)
    assert 'agw.error' in data
    assert result.cmc[-1] == 1 and 0 < result.mean_ap < 1


def test_blind_cameras_hide_every_identity():
    q = torch.tensor([1]), torch.tensor([2])
    g = torch.tensor([7, 8, 8, 1, 1]), torch.tensor([1, 0, 0, 0, 1])
    result = rank(torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5]]), *q, *g, SYSU_MM01, max_rank=3, keep_top=4)
    assert result.places.tolist() == [[2]]  # the two images of 8 count once, 7 stands in the blind camera
    assert result.first_match.tolist() == [3] and result.num_matches.tolist() == [1]
    assert result.top.tolist() == [[1, 2, 3, -1]]
