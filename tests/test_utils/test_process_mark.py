# Copyright (c) mmreid contributors. All rights reserved.
import os
import subprocess
import sys
import time

from mmreid.utils.process_mark import MARK, STALE_SECONDS, is_left_over, may_run_here, process_mark


def mark_of(code):
    """Returns the mark of another process, after it ran some code."""
    script = f'from mmreid.utils.process_mark import process_mark; print(process_mark(), flush=True); {code}'
    return subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def test_tells_who_is_at_work(tmp_path):
    own = process_mark()
    assert may_run_here(own) and not is_left_over(tmp_path, own)
    with mark_of('input()') as process:
        mark = process.stdout.readline().strip()
        assert may_run_here(mark) and not is_left_over(tmp_path, mark)
        process.kill()
        # Dead, but its parent has not collected it yet.
        end = time.monotonic() + 10
        while may_run_here(mark) and time.monotonic() < end:
            time.sleep(0.01)
        assert not may_run_here(mark) and process.returncode is None
        assert is_left_over(tmp_path, mark)


def test_a_number_that_was_given_again_is_another_process(tmp_path):
    pid, machine, start = process_mark().split('-')
    assert not may_run_here(f'{pid}-{machine}-{int(start) + 1}') and is_left_over(tmp_path, f'{pid}-{machine}-1')


def test_other_machines_are_judged_by_age(tmp_path):
    pid, _, start = process_mark().split('-')
    foreign = f'{pid}-00000000-{start}'
    assert MARK.fullmatch(foreign) and not may_run_here(foreign)
    for mark in (foreign, '', 'anything'):
        os.utime(tmp_path)
        assert not is_left_over(tmp_path, mark)
        os.utime(tmp_path, (time.time() - STALE_SECONDS - 60,) * 2)
        assert is_left_over(tmp_path, mark)
    assert not is_left_over(tmp_path / 'gone', foreign)
