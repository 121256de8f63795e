# Copyright (c) mmreid contributors. All rights reserved.
import errno
import os
import signal
from pathlib import Path

import pytest
import torch

from mmreid.utils import atomic_io
from mmreid.utils.atomic_io import TMP_SUFFIX, atomic_write, remove_stale_temporaries


@pytest.mark.parametrize(
    ('content', 'expected'),
    [(b'\x00\xff', b'\x00\xff'), ('Müller\n', 'Müller\n'.encode()), (lambda file: file.write(b'abc'), b'abc')],
)
def test_writes_and_replaces(tmp_path, content, expected):
    path = tmp_path / 'file'
    for _ in range(2):
        atomic_write(path, content)
        assert path.read_bytes() == expected
    assert os.listdir(tmp_path) == ['file']


def test_streams_a_checkpoint(tmp_path):
    atomic_write(tmp_path / 'a.pth', lambda file: torch.save(dict(a=torch.ones(3)), file))
    assert torch.load(tmp_path / 'a.pth', weights_only=True)['a'].sum() == 3


def test_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atomic_write('file', 'text')
    assert os.listdir(tmp_path) == ['file']


def test_obeys_the_umask(tmp_path):
    """A file of ``tempfile`` would be 0600, and a group could not share checkpoints."""
    old = os.umask(0o027)
    try:
        atomic_write(tmp_path / 'file', 'text')
    finally:
        os.umask(old)
    assert (tmp_path / 'file').stat().st_mode & 0o777 == 0o640


def fail_while_writing(file):
    file.write(b'half')
    raise OSError(28, 'No space left on device')


def interrupt_while_writing(file):
    file.write(b'half')
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ('content', 'error'), [(fail_while_writing, OSError), (interrupt_while_writing, KeyboardInterrupt)]
)
def test_failure_keeps_the_old_content_and_cleans_up(tmp_path, content, error):
    path = tmp_path / 'file'
    path.write_text('old')
    with pytest.raises(error):
        atomic_write(path, content)
    assert path.read_text() == 'old' and os.listdir(tmp_path) == ['file']


def test_torch_save_does_not_hide_why_a_file_cannot_be_written(tmp_path):
    resource = pytest.importorskip('resource')  # not on Windows
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError) as info:
            atomic_write(tmp_path / 'a.pth', lambda file: torch.save(dict(a=torch.ones(9000), b=torch.ones(9)), file))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert info.value.errno == errno.EFBIG and os.listdir(tmp_path) == []


def test_failed_sync_or_rename_keeps_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / 'file'
    path.write_text('old')

    def failing(*args):
        raise OSError(5, 'Input/output error')

    for name in ('fsync', 'replace'):
        with monkeypatch.context() as patch, pytest.raises(OSError, match='Input/output'):
            patch.setattr(atomic_io.os, name, failing)
            atomic_write(path, 'new')
        assert path.read_text() == 'old' and os.listdir(tmp_path) == ['file']


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        atomic_write(tmp_path / 'no' / 'file', 'text')


def test_a_reader_never_sees_a_part(tmp_path):
    """Two processes: one replaces a file of 1 MB over and over, the other reads; a plain write fails this at once."""
    path = tmp_path / 'file'
    size = 1 << 20
    atomic_write(path, b'0' * size)
    pid = os.fork()
    if pid == 0:
        try:
            while True:
                for digit in b'123':
                    atomic_write(path, bytes([digit]) * size)
        finally:
            os._exit(1)
    try:
        seen = set()
        for _ in range(40):
            content = path.read_bytes()
            assert len(content) == size and len(set(content)) == 1
            seen.add(content[0])
        assert len(seen) > 1, 'the writer was at work'
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_kill_leaves_a_temporary_that_is_found_later(tmp_path):
    path = tmp_path / 'file'
    path.write_text('old')
    (tmp_path / 'mine.tmp').write_text('of the user')
    pid = os.fork()
    if pid == 0:
        try:
            atomic_write(path, lambda file: (file.write(b'half'), file.flush(), os.kill(os.getpid(), signal.SIGKILL)))
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert path.read_text() == 'old'
    removed = remove_stale_temporaries(tmp_path)
    assert len(removed) == 1
    assert Path(removed[0]).name.startswith('file.') and removed[0].endswith(TMP_SUFFIX)
    assert sorted(os.listdir(tmp_path)) == ['file', 'mine.tmp']
    assert remove_stale_temporaries(tmp_path) == [] == remove_stale_temporaries(tmp_path / 'absent')


def kill_while_writing(path):
    pid = os.fork()
    if pid == 0:
        try:
            atomic_write(path, lambda file: (file.write(b'half'), file.flush(), os.kill(os.getpid(), signal.SIGKILL)))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def test_the_next_writer_removes_what_killed_ones_left(tmp_path):
    kill_while_writing(tmp_path / 'a.pth')
    kill_while_writing(tmp_path / 'a.pth')
    foreign = tmp_path / 'b.json.1-00000000-2-abcdef01.mmreid.tmp'  # of another machine, perhaps still running
    foreign.write_text('half')
    old = tmp_path / 'b.json.77-abcdef01.mmreid.tmp'
    old.write_text('half')
    os.utime(old, (0, 0))
    assert len(os.listdir(tmp_path)) == 3  # the second removed the leftovers of the first
    atomic_write(tmp_path / 'a.pth', 'whole')
    assert sorted(os.listdir(tmp_path)) == ['a.pth', foreign.name]


def test_a_writer_at_work_keeps_its_temporary(tmp_path):
    def write(file):
        file.write(b'x')
        assert remove_stale_temporaries(tmp_path) == []

    atomic_write(tmp_path / 'a', write)
    assert os.listdir(tmp_path) == ['a']
