# Copyright (c) mmreid contributors. All rights reserved.
"""The check of a GPU: no check stops the others, and its rehearsal on a CPU ends."""

import json
import multiprocessing
import os
import re
import signal
import sys
import time
from functools import partial

import pytest
from test_tools.benchmark_scripts import scripts_of
from test_tools.tool_runs import run

scripts = scripts_of('gpu')


def hang():
    time.sleep(60)


def break_down():
    raise ValueError('no such number')


@pytest.mark.parametrize(
    ('job', 'result'),
    [
        (lambda: dict(speed=2), 'passed'),
        (break_down, 'failed: ValueError: no such number'),
        (hang, 'stopped after 1 s'),
        (lambda: os.kill(os.getpid(), 9), 'failed: '),
    ],
)
def test_every_end_of_a_check_is_told(job, result, tmp_path):
    import check

    start = time.monotonic()
    found = check.run('a check', job, 1, tmp_path)
    assert found['result'] == result and found['numbers'] == (dict(speed=2) if result == 'passed' else {})
    assert time.monotonic() - start < 30
    check.write([found], dict(rehearsal=True, commit='abc'), tmp_path)
    assert json.loads((tmp_path / 'summary.json').read_text())['checks'] == [found]
    assert '| a check' in (tmp_path / 'summary.md').read_text()


def note_and_hang(file):
    file.write_text(str(os.getpid()))
    hang()


def check_what_hangs(folder):
    import check

    check.checks = lambda _: {'hang': (partial(note_and_hang, folder / 'pid'), 60)}
    check.write_data = lambda _: {}
    sys.argv = ['check.py', str(folder), '--rehearse']
    sys.exit(check.main())


def test_a_running_check_ends_when_the_script_is_told_to(tmp_path):
    process = multiprocessing.get_context('fork').Process(target=check_what_hangs, args=(tmp_path,))
    process.start()
    noted, until = tmp_path / 'pid', time.monotonic() + 60
    while not (noted.is_file() and noted.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    process.terminate()
    process.join(30)
    assert process.exitcode == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(noted.read_text()), 0)


def test_without_a_gpu_it_says_how_to_rehearse(tmp_path, monkeypatch, capsys):
    import check

    monkeypatch.setattr('sys.argv', ['check.py', str(tmp_path)])
    monkeypatch.setattr(check.torch.cuda, 'is_available', lambda: False)
    assert check.main() == 2 and '--rehearse' in capsys.readouterr().err


def test_every_family_trains_a_few_batches(tmp_path, monkeypatch):
    import families

    monkeypatch.chdir(tmp_path)
    for name in families.FAMILIES:
        loader = families.config_of(name, rehearse=True).train_dataloader
        counts = [int(count) for count in re.findall(r"'batches_per_epoch': (\d+)", str(loader))]
        assert set(counts) <= {5}, name
    assert counts  # of the last family; ECN's epoch is one of all images


def test_matching_names_what_was_measured():
    """The columns come from another benchmark, which may get more of them."""
    import kernels

    numbers = kernels.matching(rehearse=True)
    text = numbers['4 x 8, hw 48, d 32']
    assert re.fullmatch(r'[\d.]+ of [\d.]+ GFLOP/s \([\d.]+\), training [\d.]+; einsum [\d.]+ .*; [\d.]+ MB', text), (
        text
    )


@pytest.mark.long
def test_the_rehearsal_runs_to_its_end(tmp_path):
    told = run('benchmarks/gpu_check.sh', '--rehearse', tmp_path).stdout
    assert '0 of 16 checks failed' in told
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['rehearsal'] and all(check['result'] == 'passed' for check in summary['checks'])
    numbers = {check['name']: check['numbers'] for check in summary['checks']}
    assert {'train cluster-contrast', 'train spcl', 'train adca'} <= numbers.keys()
    assert numbers['train ecn']['ms/step'] > 0 and numbers['graph of classes']['QAConv s'] > 0
