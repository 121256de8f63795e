# Copyright (c) mmreid contributors. All rights reserved.
"""Ranking by two and three gloo processes against one."""

import pytest
import torch
from test_evaluation.sharded_ranking_work import results
from test_tools.tool_runs import run

pytestmark = [pytest.mark.dist, pytest.mark.slow]


@pytest.mark.parametrize('num_ranks', [2, 3])
def test_ranks_share_the_queries_and_get_the_same_result(num_ranks, tmp_path):
    out = tmp_path / 'out.pth'
    arguments = ['--standalone', f'--nproc_per_node={num_ranks}', 'tests/test_evaluation/sharded_ranking_work.py', out]
    run('-m', 'torch.distributed.run', *arguments)
    several, one = torch.load(out, weights_only=True), results()
    for kind in ('features', 'matrix', 'tlift', 'kept'):
        for name, value in one[kind].items():
            torch.testing.assert_close(several[kind][name], value, rtol=0, atol=0, equal_nan=True, msg=name)
    assert one['kept']['matched'] == 300  # rows, once each
    assert len(several['failures']) == num_ranks
    assert all('gallery image 0 is NaN' in text for text in several['failures'])
