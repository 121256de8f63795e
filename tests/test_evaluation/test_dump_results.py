# Copyright (c) mmreid contributors. All rights reserved.
import os
import pickle
import signal

import pytest
import torch
from mmengine.registry import DefaultScope

from mmreid.evaluation import DumpResults
from mmreid.registry import METRICS

SAMPLES = [dict(pid=3, feature=torch.ones(2)), dict(pid=4, feature=torch.zeros(2))]


def dumper(path):
    with DefaultScope.overwrite_default_scope('mmreid'):
        metric = METRICS.build(dict(type='DumpResults', out_file_path=str(path)))
    assert isinstance(metric, DumpResults)
    metric.process({}, SAMPLES)
    return metric


def test_writes_what_mmengine_writes(tmp_path):
    assert dumper(tmp_path / 'pred.pkl').evaluate(2) == {}
    found = pickle.loads((tmp_path / 'pred.pkl').read_bytes())
    assert [sample['pid'] for sample in found] == [3, 4] and found[0]['feature'].tolist() == [1, 1]
    with pytest.raises(ValueError, match='pkl'):
        DumpResults('pred.json')


class Killer:
    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_kill_while_writing_leaves_the_file_of_before(tmp_path):
    path = tmp_path / 'pred.pkl'
    dumper(path).evaluate(2)
    before = path.read_bytes()
    pid = os.fork()
    if pid == 0:
        try:
            dumper(path).compute_metrics([*SAMPLES * 1000, Killer()])
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert path.read_bytes() == before
