# Copyright (c) mmreid contributors. All rights reserved.
"""What ranks do that wait for others, or for a folder."""

import re

import pytest
from test_tools.tool_runs import write_config
from tiny_data import write_market
from warm_processes import run_ranks

from mmreid.engine.runners.building import _timeout
from mmreid.utils.run_lock import run_lock

pytestmark = [pytest.mark.dist, pytest.mark.slow]


def test_a_rank_waits_as_long_as_the_config_says():
    done = run_ranks(2, 'tests/test_dist/timeout_rank_work.py', check=False)
    waited = re.search(r'waited (\S+) s', done.stdout)
    assert done.returncode and waited, done.stdout
    assert 1.5 < float(waited[1]) < 20


def test_every_rank_is_refused_in_a_folder_where_another_run_trains(tmp_path):
    config = write_config(tmp_path / 'cfg.py', write_market(tmp_path / 'data'), tmp_path / 'run')
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run/cfg.py').write_text('of the other')
    with run_lock(tmp_path / 'run'):
        done = run_ranks(2, 'tools/train.py', config, '--launcher', 'pytorch', check=False)
    assert done.returncode == 1 and re.search(r'error: \S+run is in use by process \d+ on ', done.stdout)
    assert not list((tmp_path / 'run').glob('*.pth'))
    assert (tmp_path / 'run/cfg.py').read_text() == 'of the other'


@pytest.mark.parametrize('timeout', [0, -1, '60', True])
def test_a_senseless_timeout_is_refused(timeout):
    with pytest.raises(ValueError, match=f'env_cfg.dist_cfg.timeout={timeout!r}'):
        _timeout(dict(dist_cfg=dict(timeout=timeout)))
