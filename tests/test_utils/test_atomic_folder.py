# Copyright (c) mmreid contributors. All rights reserved.
import os
import time

import pytest

from mmreid.utils.atomic_folder import STALE_SECONDS, atomic_folder, check_free


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
    for name, age in (('young', 0), ('old', STALE_SECONDS + 60)):
        left = tmp_path / f'.out.partial-{name}'
        left.mkdir()
        os.utime(left, (time.time() - age,) * 2)
    with atomic_folder(tmp_path / 'out'):
        pass
    assert names(tmp_path) == ['.out.partial-young', 'out']


def test_only_own_folders_are_free(tmp_path):
    check_free(tmp_path / 'new', 'mark', force=False)
    check_free(tmp_path, 'mark', force=False)  # empty
    (tmp_path / 'data').write_text('')
    with pytest.raises(FileExistsError, match='did not write, so it is kept'):
        check_free(tmp_path, 'mark', force=True)
    with pytest.raises(FileExistsError, match='data is not an ordinary folder'):
        check_free(tmp_path / 'data', 'mark', force=True)
    (tmp_path / 'mark').write_text('')
    with pytest.raises(FileExistsError, match='use --force'):
        check_free(tmp_path, 'mark', force=False)
    check_free(tmp_path, 'mark', force=True)
    check_free(tmp_path, 'mark', force=True, written=['data'])
    with pytest.raises(FileExistsError, match='also holds data'):
        check_free(tmp_path, 'mark', force=True, written=[])
