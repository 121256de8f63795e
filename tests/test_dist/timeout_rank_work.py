# Copyright (c) mmreid contributors. All rights reserved.
"""Rank 0 waits for a rank that does not come."""

import os
import time

from mmengine.dist import barrier
from mmengine.runner import Runner

from mmreid.engine import ReIDRunner

if __name__ == '__main__':
    runner = ReIDRunner.__new__(ReIDRunner)
    runner._distributed, runner._launcher = True, 'pytorch'
    runner.setup_env(dict(dist_cfg=dict(backend='nccl', timeout=2)))
    assert isinstance(runner, Runner)
    if os.environ['RANK'] == '1':
        time.sleep(60)
    begin = time.monotonic()
    try:
        barrier()
    finally:
        print(f'waited {time.monotonic() - begin:.1f} s')
