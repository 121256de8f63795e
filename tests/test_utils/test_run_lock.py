# Copyright (c) mmreid contributors. All rights reserved.
import errno
import os
import signal
import time

import pytest

from mmreid.utils import run_lock as module
from mmreid.utils.run_lock import LOCK_NAME, FolderInUseError, run_lock, run_lock_of_ranks


@pytest.fixture(autouse=True)
def in_no_hurry(monkeypatch):
    monkeypatch.setattr(module, 'SECONDS', 0.1)


def hold_in_child(folder, worker=False):
    """Starts a process that holds a folder forever, perhaps with a worker that survives when it is killed."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with run_lock(folder):
                if worker:
                    child = os.fork()
                    if child == 0:
                        os.write(tell, b'%d.' % os.getpid())
                        time.sleep(60)
                        os._exit(0)
                else:
                    os.write(tell, b'0.')
                time.sleep(60)
        finally:
            os._exit(1)
    text = b''
    while not text.endswith(b'.'):
        text += os.read(ready, 20)
    os.close(ready)
    os.close(tell)
    return pid, int(text[:-1])


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_second_run_is_refused_and_told_who_is_there(tmp_path):
    pid, _ = hold_in_child(tmp_path)
    try:
        with pytest.raises(FolderInUseError, match=f'{tmp_path} .*process {pid} .* 2'):
            with run_lock(tmp_path):
                pass
    finally:
        kill(pid)
    with run_lock(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_worker_that_outlives_a_killed_run_does_not_keep_the_lock(tmp_path):
    pid, worker = hold_in_child(tmp_path, worker=True)
    try:
        kill(pid)
        os.kill(worker, 0)  # still there
        assert os.listdir(tmp_path) == [LOCK_NAME]
        with run_lock(tmp_path):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)


def test_the_same_process_cannot_hold_it_twice(tmp_path):
    with run_lock(tmp_path):
        with pytest.raises(FolderInUseError, match=f'by process {os.getpid()} '), run_lock(tmp_path):
            pass
        with pytest.raises(FolderInUseError), run_lock(tmp_path):  # the refusal has not released it
            pass
    with pytest.raises(KeyError), run_lock(tmp_path):
        raise KeyError
    with run_lock(tmp_path):
        pass


def test_a_lock_file_that_its_holder_just_removed_is_not_taken(tmp_path, monkeypatch):
    """Opening the file while it is held, and locking it when it is gone, would share the folder with the next run."""
    real, first = module._lock, []

    def lock(descriptor):
        if not first:
            first.append(os.remove(tmp_path / LOCK_NAME))
        real(descriptor)

    monkeypatch.setattr(module, '_lock', lock)
    with run_lock(tmp_path):
        assert (tmp_path / LOCK_NAME).is_file()


def test_without_locks_of_the_file_system_it_warns(tmp_path, monkeypatch, caplog):
    def lock(descriptor):
        raise OSError(errno.EOPNOTSUPP, 'Operation not supported')

    warned = []
    monkeypatch.setattr(module, '_lock', lock)
    monkeypatch.setattr(module, 'print_log', lambda text, *_: warned.append(text))
    with run_lock(tmp_path):
        assert len(warned) == 1 and 'Operation not supported' in warned[0]


def test_several_folders_are_held_together_or_not_at_all(tmp_path):
    first, second, new = (str(tmp_path / name) for name in ('first', 'second', 'new'))
    with run_lock_of_ranks([first, second, f'{first}/.', new]):
        for folder in (first, second, new):
            with pytest.raises(FolderInUseError, match=folder), run_lock(folder):
                pass
    with run_lock(second):
        with (
            pytest.raises(FolderInUseError, match=f'{second} .*process {os.getpid()} '),
            run_lock_of_ranks([first, second]),
        ):
            pass
        with run_lock(first):  # was released
            pass
    (tmp_path / 'file').touch()
    with pytest.raises(RuntimeError, match=r'/file .*work_dir .*out_dir'), run_lock_of_ranks([f'{tmp_path}/file']):
        pass
