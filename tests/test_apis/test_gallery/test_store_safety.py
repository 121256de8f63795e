# Copyright (c) mmreid contributors. All rights reserved.
"""What was acknowledged survives: kills, full disks, several processes, damaged and foreign files."""

import contextlib
import errno
import os
import shutil
import sqlite3

import numpy as np
import pytest
from gallery_cases import add_once, add_to_a_full_disk, add_until_killed, hold_the_lock, some_features, start

from mmreid.apis import Gallery
from mmreid.apis.gallery import GalleryBusyError, GalleryDamagedError, feature_arrays


def found_keys(gallery, features):
    """The key that each feature finds first."""
    return [answers[0].entry.key for answers in gallery.search(features, 1)]


@pytest.mark.dist
@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill(tmp_path):
    path, rng = tmp_path / 'a.gallery', np.random.default_rng(0)
    acknowledged = 0
    for _ in range(3):
        process, pipe = start(add_until_killed, path)
        for _ in range(rng.integers(1, 30)):
            acknowledged = max(*pipe.recv(), acknowledged)
        process.kill()
        process.join()
        with contextlib.suppress(EOFError):
            while True:
                acknowledged = max(*pipe.recv(), acknowledged)
        with Gallery.open(path) as gallery:
            assert gallery.check() == []
            assert [entry.key for entry in gallery][:acknowledged] == list(range(1, acknowledged + 1))
            assert len(gallery) in (acknowledged, acknowledged + 3)  # the last call may have been stored unheard


@pytest.mark.dist
@pytest.mark.slow
def test_a_full_disk_loses_nothing(tmp_path):
    path = tmp_path / 'a.gallery'
    process, pipe = start(add_to_a_full_disk, path)
    stored = 3
    while isinstance(message := pipe.recv(), list):
        stored = max(message)
    process.join()
    assert message[0] == 'OSError' and message[1] in (errno.ENOSPC, errno.EIO) and str(path) in message[2]
    with Gallery.open(path) as gallery:
        assert len(gallery) == stored > 3 and gallery.check() == []
        gallery.add(features=some_features(1))


def test_a_full_database_is_explained_and_nothing_half_done(tmp_path):
    with Gallery.open(tmp_path / 'a.gallery') as gallery:
        gallery.add(features=some_features(5))
        gallery.store.connection.execute('PRAGMA max_page_count = 20')
        with pytest.raises(OSError, match='a.gallery') as refused:
            gallery.add(features=some_features(5000))
        assert refused.value.errno == errno.ENOSPC
        assert len(gallery) == 5 and gallery.check() == []
        gallery.add(features=some_features(1))


@pytest.mark.dist
@pytest.mark.slow
def test_one_process_writes_and_others_read(tmp_path):
    path = tmp_path / 'a.gallery'
    features = some_features(6)
    with Gallery.open(path, wait=0.1) as gallery:
        gallery.add(features=features)
        process, pipe = start(hold_the_lock, path)
        assert pipe.recv() == 'holding'
        assert found_keys(gallery, features[2:4]) == [3, 4]
        with Gallery.open(path, wait=0.1) as third:
            assert len(third) == 6
        for write in (lambda: gallery.add(features=features), lambda: gallery.delete(keys=1)):
            with pytest.raises(GalleryBusyError, match='a.gallery'):
                write()
        pipe.send('end')
        process.join()
        gallery.add(features=features)
        assert len(gallery) == 12


def test_a_second_reader_sees_what_the_first_wrote(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_arrays, 'MIN_NEW', 4)
    features = some_features(12)[::7]
    features = np.concatenate([features, some_features(8, seed=3)[2:7]])
    with Gallery.open(tmp_path / 'a.gallery') as writer, Gallery.open(tmp_path / 'a.gallery') as reader:
        for count in range(len(features)):
            writer.add(features=features[count : count + 1])
            assert found_keys(reader, features[: count + 1]) == list(range(1, count + 2))
        writer.delete(keys=[2, 3])
        assert found_keys(reader, features[3:]) == list(range(4, len(features) + 1))
        assert {answer.entry.key for answer in reader.search(features[:1], 99)[0]} == {1, 4, 5, 6, 7}


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """A gallery with its copy of vectors, closed: the file, the copy, the features, and their keys."""
    monkeypatch.setattr(feature_arrays, 'MIN_NEW', 4)
    features = some_features(20, seed=1)[np.r_[0, 2:7, 9:14, 16:20]]
    with Gallery.open(tmp_path / 'a.gallery') as gallery:
        keys = gallery.add(features=features)
        assert found_keys(gallery, features) == keys
    return tmp_path / 'a.gallery', tmp_path / 'a.gallery.cache/vectors', features, keys


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    'damage',
    [
        lambda path: flip(path, 3), lambda path: flip(path, 20), lambda path: flip(path, 40),
        lambda path: flip(path, 4096 + 33), lambda path: flip(path, -1),
        lambda path: path.write_bytes(path.read_bytes()[:-5]), lambda path: path.write_bytes(b''),
        lambda path: path.write_bytes(path.read_bytes() + b'more'), lambda path: path.write_bytes(b'x' * 9000),
        lambda path: path.unlink(), lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=['magic', 'count', 'key', 'vector', 'last byte', 'cut', 'empty', 'longer', 'other', 'gone', 'folder'],
)  # fmt: skip
def test_a_damaged_copy_is_not_trusted(cached, damage):
    path, copy, features, keys = cached
    damage(copy)
    with Gallery.open(path) as gallery:
        assert found_keys(gallery, features) == keys


def test_a_copy_of_another_time_is_not_trusted(cached, tmp_path):
    """A backup of the gallery is put back, and other images get the same keys."""
    path, copy, features, _ = cached
    shutil.copy2(path, tmp_path / 'backup')
    others = some_features(40, seed=5)[np.r_[2:7, 9:14]]
    with Gallery.open(path) as gallery:
        gallery.add(features=others)
        gallery.search(others)
    assert copy.exists()
    shutil.copy2(tmp_path / 'backup', path)
    with Gallery.open(path) as gallery:
        keys = gallery.add(features=others[::-1].copy())
        assert found_keys(gallery, others[::-1].copy()) == keys


def test_a_good_copy_is_used(cached):
    path, copy, features, keys = cached
    before = copy.stat().st_mtime_ns
    with Gallery.open(path) as gallery:
        assert found_keys(gallery, features) == keys
        assert len(gallery.store.engine.arrays.mapped) == len(keys)
    assert copy.stat().st_mtime_ns == before


def test_a_folder_that_cannot_be_written_is_done_without(cached, mmreid_log):
    path, copy, features, keys = cached
    copy.unlink()
    copy.parent.rmdir()
    copy.parent.write_text('a file')
    with Gallery.open(path) as gallery:
        assert found_keys(gallery, features) == keys
    assert str(copy) in mmreid_log.text and copy.parent.read_text() == 'a file'


def change(path, statement, *values):
    connection = sqlite3.connect(path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ('statement', 'values', 'named'),
    [
        ('UPDATE features SET feature = ? WHERE key = 3', (b'\0' * 32,), 'entry 3'),
        ('UPDATE features SET feature = ? WHERE key = 3', (b'short',), 'entry 3'),
        ('UPDATE features SET feature = 7 WHERE key = 3', (), 'entry 3'),
        ('DELETE FROM features WHERE key = 3', (), 'feature'),
    ],
)
def test_damaged_features_are_found(cached, statement, values, named):
    path, copy, features, _ = cached
    change(path, statement, *values)
    copy.unlink()
    with Gallery.open(path) as gallery:
        assert any(named in fault for fault in gallery.check())
        with pytest.raises(GalleryDamagedError, match='a.gallery'):
            gallery.search(features)


@pytest.mark.parametrize(
    ('column', 'value'),
    [('camera', b'\xff'), ('time', 'noon'), ('modality', 'x'), ('extra', '['), ('extra', '[1]'), ('id', 'a\nb')],
)
def test_damaged_entries_are_found(cached, column, value):
    path, _, features, _ = cached
    change(path, f'UPDATE entries SET {column} = ? WHERE key = 3', value)  # noqa: S608  names of this test
    with Gallery.open(path) as gallery:
        assert any('entry 3' in fault for fault in gallery.check())
        with pytest.raises(GalleryDamagedError, match='entry 3'):
            list(gallery)


def broken_database(path):
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


@pytest.mark.parametrize(
    'make',
    [
        lambda path: path.write_text('no database at all, but long enough for a header ' * 40),
        lambda path: change(path.with_name('new'), 'CREATE TABLE mine (a)') or path.with_name('new').rename(path),
        lambda path: change(path, 'PRAGMA user_version = 99'),
        lambda path: change(path, 'CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM features; END'),
        lambda path: change(path, 'CREATE VIEW v AS SELECT 1'),
        lambda path: change(path, 'DROP TABLE features'),
        lambda path: change(path, "UPDATE facts SET value = '{' WHERE name = 'gallery'"),
        lambda path: change(path, "UPDATE facts SET value = '[]' WHERE name = 'gallery'"),
        lambda path: change(path, "UPDATE facts SET value = x'00' WHERE name = 'gallery'"),
        lambda path: (path.unlink(), path.mkdir()),
        broken_database,
    ],
    ids=['text', 'other database', 'version', 'trigger', 'view', 'table', 'json', 'list', 'bytes', 'folder', 'broken'],
)
def test_files_that_are_no_galleries(cached, make):
    path = cached[0]
    make(path)
    with pytest.raises(ValueError, match='a.gallery'):
        gallery = Gallery.open(path)
        list(gallery)
    assert path.exists()


def unfinished(path):
    """What a process leaves that is killed while it makes a gallery."""
    connection = sqlite3.connect(path)
    connection.execute('PRAGMA page_size = 32768')
    connection.execute('PRAGMA journal_mode = WAL')
    connection.close()


@pytest.mark.parametrize('begin', [unfinished, lambda path: path.touch()])
def test_a_gallery_that_was_not_made_to_the_end(tmp_path, begin):
    begin(tmp_path / 'a.gallery')
    with pytest.raises(FileNotFoundError, match='a.gallery'):
        Gallery.open(tmp_path / 'a.gallery', create=False)
    with Gallery.open(tmp_path / 'a.gallery') as gallery:
        assert gallery.add(features=some_features(2)) == [1, 2]


@pytest.mark.dist
@pytest.mark.slow
def test_several_processes_make_the_same_gallery(tmp_path):
    for number in range(5):
        writers = [start(add_once, tmp_path / f'{number}.gallery') for _ in range(4)]
        assert sorted(pipe.recv() for _, pipe in writers) == [[1], [2], [3], [4]]
        for process, _ in writers:
            process.join()


def test_a_missing_gallery(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.gallery'):
        Gallery.open(tmp_path / 'gone.gallery', create=False)
    with pytest.raises(FileNotFoundError, match='no_folder'):
        Gallery.open(tmp_path / 'no_folder/a.gallery')
    with pytest.raises(GalleryDamagedError, match='folder'):
        Gallery.open('')
    assert list(tmp_path.iterdir()) == []
