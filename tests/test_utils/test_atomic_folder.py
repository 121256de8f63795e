# Copyright (c) mmreid contributors. All rights reserved.
import os
import subprocess
import sys
import time

import pytest

from mmreid.utils.atomic_folder import atomic_folder, check_free, write_marker
from mmreid.utils.process_mark import STALE_SECONDS


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_folder_is_complete_or_as_before(tmp_path):
    root = tmp_path / 'out'
    with pytest.raises(RuntimeError), atomic_folder(root) as folder:
        (folder / 'half').write_text('')
        raise RuntimeError
    assert names(tmp_path) == []
    for content in ('old', 'new'):
        with atomic_folder(root) as folder:
            (folder / content).write_text('')
    assert names(root) == ['new'] and names(tmp_path) == ['out']
    with pytest.raises(RuntimeError), atomic_folder(root):
        raise RuntimeError
    assert names(root) == ['new'] and names(tmp_path) == ['out']


def test_what_killed_runs_left_is_removed_once_it_is_old(tmp_path):
    dead, age = dead_pid(), (time.time() - STALE_SECONDS - 60,) * 2
    (tmp_path / 'out').mkdir()
    for name in (f'.out.partial-{dead}', f'.out.old-{dead}', f'.out.partial-{os.getppid()}', '.out.partial-of-mine'):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, age)
    (tmp_path / f'.out.partial-{dead}0').mkdir()  # young
    with atomic_folder(tmp_path / 'out'):
        pass
    kept = ['.out.partial-of-mine', f'.out.partial-{os.getppid()}', f'.out.partial-{dead}0', 'out']
    assert names(tmp_path) == sorted(kept)


def dead_pid():
    with subprocess.Popen([sys.executable, '-c', '']) as process:
        return process.pid


def test_run_killed_between_its_two_renames_loses_nothing(tmp_path):
    taken_away = tmp_path / f'.out.old-{dead_pid()}'
    taken_away.mkdir()
    (taken_away / 'data').write_text('')
    os.utime(taken_away, (0, 0))
    with pytest.raises(FileExistsError, match=f'{tmp_path / "out"} .*content'):
        check_free(tmp_path / 'out', 'mark', force=True)
    assert names(tmp_path) == ['out'] and names(tmp_path / 'out') == ['data']


def test_place_that_cannot_be_written_to_is_named_without_a_hidden_name(tmp_path):
    (tmp_path / 'file').write_text('')
    with (
        pytest.raises(OSError, match='file/out .*File exists') as error,
        atomic_folder(tmp_path / 'file' / 'out'),
    ):
        pass
    assert 'partial' not in str(error.value)


def test_only_own_folders_are_free(tmp_path):
    check_free(tmp_path / 'new', 'mark', force=False)
    check_free(tmp_path, 'mark', force=False)  # empty
    (tmp_path / 'data').write_text('')
    with pytest.raises(FileExistsError, match=f'{tmp_path} .*content'):
        check_free(tmp_path, 'mark', force=True)
    with pytest.raises(FileExistsError, match='/data .*ordinary'):
        check_free(tmp_path / 'data', 'mark', force=True)
    (tmp_path / 'links').symlink_to(tmp_path)
    write_marker(tmp_path, 'mark', dict(seed=1))
    with pytest.raises(FileExistsError, match='--force'):
        check_free(tmp_path, 'mark', force=False)
    check_free(tmp_path, 'mark', force=True)
    (tmp_path / 'deep').mkdir()
    (tmp_path / 'deep' / 'mine').write_text('')
    with pytest.raises(FileExistsError, match=' deep/mine'):
        check_free(tmp_path, 'mark', force=True)
    check_free(tmp_path, 'mark', force=True, extra=['deep/mine'])
    (tmp_path / 'mark').write_text('{}')
    with pytest.raises(FileExistsError, match='/mark .*list'):
        check_free(tmp_path, 'mark', force=True)


def test_files_that_come_while_the_folder_is_made_are_kept(tmp_path):
    root = tmp_path / 'out'
    with atomic_folder(root) as folder:
        write_marker(folder, 'mark', {})
    with (
        pytest.raises(FileExistsError, match=' late'),
        atomic_folder(root, lambda: check_free(root, 'mark', force=True)) as folder,
    ):
        write_marker(folder, 'mark', {})
        (root / 'late').write_text('')
    assert names(root) == ['late', 'mark'] and names(tmp_path) == ['out']
