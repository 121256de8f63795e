# Copyright (c) mmreid contributors. All rights reserved.
"""Ranking by two and three gloo processes against one."""

import pytest
import torch
from test_evaluation.sharded_ranking_work import results
from warm_processes import run_ranks

pytestmark = [pytest.mark.dist, pytest.mark.slow]


@pytest.mark.parametrize('num_ranks', [2, 3])
def test_ranks_share_the_queries_and_get_the_same_result(num_ranks, tmp_path):
    out = tmp_path / 'out.pth'
    run_ranks(num_ranks, 'tests/test_evaluation/sharded_ranking_work.py', out)
    several, one = torch.load(out, weights_only=True), results()
    for kind in ('features', 'matrix', 'tlift', 'kept'):
        for name, value in one[kind].items():
            torch.testing.assert_close(several[kind][name], value, rtol=0, atol=0, equal_nan=True, msg=name)
    assert one['kept']['matched'] == 300  # rows, once each
    assert len(several['failures']) == num_ranks
    assert all('gallery image 0 ' in text and 'NaN' in text for text in several['failures'])
