# Copyright (c) mmreid contributors. All rights reserved.
"""The commands of a gallery, from a folder of images to answers and to deletion."""

import contextlib
import csv
import json
import re
import time

import pytest
from gallery_cases import add_images, start
from tiny_data import write_image
from tiny_models import trained

from mmreid.apis import Gallery, ReIDInferencer
from mmreid.apis.gallery.image_labels import labels_of_paths, labels_of_table, seconds_of_text
from mmreid.apis.threshold import FORMAT
from mmreid.datasets import CorruptImageError

from .tool_modules import load_tool

TOOL = load_tool('gallery.py')


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp('model') / 'a.pth'
    trained('ImageReID', path)
    return path


@pytest.fixture
def folder(tmp_path, model, capsys):
    """Six images of three people by two cameras, and a gallery of them."""
    for number in range(6):
        write_image(tmp_path / f'images/{number // 2:04d}_c{number % 2}_{100 + number}.png', number)
    run('create', tmp_path / 'a.gallery', '--model', model, '--device', 'cpu')
    run(*add_words(tmp_path, model), '--pattern', r'(?P<id>\d{4})_c(?P<camera>\d)_(?P<time>\d+)')
    capsys.readouterr()
    return tmp_path


def run(*words):
    TOOL.main([str(word) for word in words])


def add_words(folder, model):
    return ['add', folder / 'a.gallery', folder / 'images', '--model', model, '--device', 'cpu']


def told(capsys):
    return capsys.readouterr().out


def test_images_are_added_once(folder, model, capsys):
    with Gallery.open(folder / 'a.gallery') as gallery:
        assert [(e.id, e.camera, e.time) for e in gallery] == [
            (f'{i // 2:04d}', str(i % 2), 100.0 + i) for i in range(6)
        ]
    run(*add_words(folder, model), '--pattern', r'(?P<id>\d{4})_c(?P<camera>\d)_(?P<time>\d+)')
    assert '0 images added, 6 were there' in told(capsys)
    with pytest.raises(ValueError, match="id '0000' instead of 'x'"):
        run(*add_words(folder, model), '--id', 'x')


def test_a_search_prints_and_writes(folder, model, capsys):
    words = ['search', folder / 'a.gallery', folder / 'images/0001_c0_102.png', '--model', model, '--device', 'cpu']
    run(*words, '--topk', 2, '--out', folder / 'out')
    lines = told(capsys).splitlines()
    assert re.search(r'0001_c0_102\.png +1\.000 +3 +0001 +0 +102\.0', lines[1]) and len(lines) == 3
    with open(folder / 'out/ranked.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['key'] for row in rows][0] == '3' and list(rows[0])[:4] == ['query', 'rank', 'file', 'score']
    assert len(list((folder / 'out/lists').iterdir())) == 1

    def keys(*options):
        run(*words, *options)
        return {int(line.split()[2]) for line in told(capsys).splitlines()[1:]}

    assert keys() == {1, 2, 3, 4, 5, 6}
    # The query is image 3, of person 0001 by camera 0.
    assert len(best := keys('--per-id', 'best')) == 3 and 3 in best
    assert keys('--query-camera', 0) == {2, 4, 6} and keys('--query-camera', 0, '--per-id', 'best', '--topk', 2) < {
        2,
        4,
        6,
    }
    assert keys('--camera', 1) == {2, 4, 6} and keys('--camera', 1, '--since', 102, '--until', 104) == {4}
    with pytest.raises(FileExistsError, match='out'):
        run(*words, '--out', folder / 'out')


def test_a_threshold_decides(folder, model, capsys):
    with Gallery.open(folder / 'a.gallery') as gallery:
        facts = dict(name='a.pth', hash=gallery.model.fingerprint)
    words = ['search', folder / 'a.gallery', folder / 'images/0001_c0_102.png', '--model', model, '--device', 'cpu']
    for value, same in ((0.9999, 'True'), (1.0001, 'False')):
        (folder / 't.json').write_text(json.dumps(dict(format=FORMAT, threshold=value, model=facts)))
        run(*words, '--threshold', folder / 't.json', '--topk', 1)
        assert told(capsys).strip().endswith(same)


def test_deletion_by_id_time_and_camera(folder, capsys):
    place = folder / 'a.gallery'
    run('delete', place, '--id', '0001', '--dry-run')
    assert '2 entries would be deleted' in told(capsys)
    run('delete', place, '--id', '0001')
    run('delete', place, '--until', 101)
    assert '2 entries deleted, 4 left' in (text := told(capsys)) and '1 entries deleted, 3 left' in text
    run('delete', place, '--key', 2, 6, '--camera', '1')
    with Gallery.open(place) as gallery:
        assert [entry.key for entry in gallery] == [5]
    with pytest.raises(ValueError, match='--until'):
        run('delete', place)


def test_info_and_check(folder, capsys):
    run('info', folder / 'a.gallery')
    assert json.loads(told(capsys))['entries'] == 6
    run('check', folder / 'a.gallery')
    assert '6 entries, no faults' in told(capsys)
    with Gallery.open(folder / 'a.gallery') as gallery:
        gallery.store.connection.execute("UPDATE features SET feature = x'00' WHERE key = 4")
    with pytest.raises(SystemExit) as ended:
        run('check', folder / 'a.gallery')
    assert ended.value.code == 1 and 'entry 4' in told(capsys)


def test_an_index(folder, model, capsys):
    words = ['index', folder / 'a.gallery', '--model', model, '--device', 'cpu']
    run(*words)
    assert 'searched exactly' in told(capsys)
    pytest.importorskip('faiss', reason='faiss is not installed: pip install "mmreid[gallery]"')
    run(*words, '--kind', 'hnsw')
    assert 'hnsw of 6 entries' in told(capsys)


def test_parts_make_the_whole(tmp_path, folder, model, capsys):
    run('create', tmp_path / 'b.gallery', '--model', model, '--device', 'cpu')
    for part in ('1/4', '2/4', '3/4', '4/4', '4/4'):
        run(*add_words(folder, model)[:1], tmp_path / 'b.gallery', *add_words(folder, model)[2:], '--shard', part)
    with Gallery.open(tmp_path / 'b.gallery') as gallery, Gallery.open(folder / 'a.gallery') as whole:
        assert sorted(entry.image for entry in gallery) == sorted(entry.image for entry in whole)


def test_a_copy(folder, capsys):
    run('copy', folder / 'a.gallery', folder / 'copy.gallery')
    run('copy', folder / 'a.gallery', folder / 'copy.gallery')
    with pytest.raises(ValueError, match='copy.gallery'):
        run('copy', folder / 'copy.gallery', folder / 'images/../copy.gallery')
    assert '6 of 6 entries' in (text := told(capsys)) and '0 of 6 entries' in text
    with Gallery.open(folder / 'copy.gallery') as copied, Gallery.open(folder / 'a.gallery') as gallery:
        assert list(copied) == list(gallery) and copied.model == gallery.model


@pytest.mark.dist
@pytest.mark.slow
def test_a_killed_call_goes_on(tmp_path, model, monkeypatch):
    for number in range(60):
        write_image(tmp_path / f'images/{number}.png', number)
    process, _ = start(add_images, tmp_path / 'b.gallery', model, tmp_path / 'images')
    while not (tmp_path / 'b.gallery').exists():
        time.sleep(0.01)
    stored = 0
    while stored < 42 and process.is_alive():
        with contextlib.suppress(ValueError), Gallery.open(tmp_path / 'b.gallery') as gallery:
            stored = len(gallery)
    process.kill()
    process.join()
    extracted = []
    extract = ReIDInferencer.extract
    monkeypatch.setattr(
        ReIDInferencer, 'extract', lambda self, images, **o: extracted.extend(images) or extract(self, images, **o)
    )
    with Gallery.open(tmp_path / 'b.gallery', model, device='cpu') as gallery:
        before = len(gallery)
        gallery.add(tmp_path / 'images')
        assert 42 <= before and len(gallery) == 60 and len(extracted) == 60 - before and gallery.check() == []


def test_an_image_that_cannot_be_read(folder, model, capsys):
    (folder / 'images/broken.png').write_bytes(b'no image')
    run('delete', folder / 'a.gallery', '--since', 0)
    with pytest.raises(CorruptImageError, match='broken.png'):
        run(*add_words(folder, model))
    run(*add_words(folder, model), '--skip-unreadable', '--time', '2026-01-31T12:00:00+00:00')
    assert '6 images added, 0 were there, 1 cannot be read; 6 in all' in told(capsys)
    with Gallery.open(folder / 'a.gallery') as gallery:
        assert {entry.time for entry in gallery} == {1769860800.0}


def test_facts_from_a_table(folder):
    rows = ['img_path,pid,camid,timestamp,modality', 'images/a.png,x,door,12.5,visible', 'images/b.png,y,,,']
    (folder / 'labels.csv').write_text('\n'.join(rows))
    found = labels_of_table(folder / 'labels.csv', [str(folder / 'images/b.png'), str(folder / 'images/a.png')])
    assert found == dict(ids=['y', 'x'], cameras=[None, 'door'], times=[None, 12.5], modality=[None, 'visible'])
    with pytest.raises(ValueError, match=r'labels\.csv.*c\.png'):
        labels_of_table(folder / 'labels.csv', [str(folder / 'images/c.png')])
    (folder / 'labels.csv').write_text('img_path,pid,timestamp\nimages/a.png,x,0.000\nimages/b.png,y,\n')
    found = labels_of_table(folder / 'labels.csv', [str(folder / f'images/{name}.png') for name in 'ab'])
    assert found['times'] == [0.0, None], 'the first frame of a clip'


@pytest.mark.parametrize(('host', 'name'), [('2001:db8::5', '[2001:db8::5]'), ('192.0.2.7', '192.0.2.7')])
def test_the_address_that_is_served_is_a_name_of_the_server(folder, model, monkeypatch, host, name):
    seen = []
    monkeypatch.setattr(TOOL, 'create_app', lambda gallery, threshold, limits, hosts: seen.extend(hosts))
    monkeypatch.setattr(TOOL, 'run_server', lambda app, address, port, limits: seen.append(address))
    run('serve', folder / 'a.gallery', '--model', model, '--host', host, '--name', 'gallery.example')
    assert seen[-3:] == [name, 'gallery.example', host]


@pytest.mark.parametrize(
    ('pattern', 'named'),
    [('(?P<id', 'regular'), (r'(\d+)', r'\[\]'), (r'(?P<who>\d+)', 'who'), (r'(?P<id>\d{9})', 'images/1.png')],
)
def test_patterns_that_do_not_fit(pattern, named):
    with pytest.raises(ValueError, match=named):
        labels_of_paths(pattern, ['images/1.png'])


def test_facts_from_paths():
    paths = ['door/2026-01-31T12:00:00+00:00.jpg', 'till/5.jpg']
    found = labels_of_paths(r'(?P<camera>\w+)/(?P<time>[^/]+)\.jpg$', paths)
    assert found == dict(cameras=['door', 'till'], times=[1769860800.0, 5.0])
    assert labels_of_paths(r'(?P<id>\d)?\.jpg', ['a.jpg']) == dict(ids=[None])
    with pytest.raises(ValueError, match="'noon'"):
        seconds_of_text('noon')


@pytest.mark.parametrize(
    ('words', 'named'),
    [
        ([], 'COMMAND'), (['add', 'g', 'i'], '--model'), (['delete', 'g', '--until', 'noon'], 'noon'),
        (['add', 'g', 'i', '--model', 'm', '--shard', '5/4'], '5/4'),
        (['add', 'g', 'i', '--model', 'm', '--labels', 'a', '--pattern', 'b'], '--pattern'),
    ],
)  # fmt: skip
def test_a_command_line_that_makes_no_sense(words, named, capsys):
    with pytest.raises(SystemExit):
        run(*words)
    assert named in capsys.readouterr().err


@pytest.mark.parametrize('command', ['add', 'search', 'serve', 'index', 'info', 'check', 'copy', 'delete'])
def test_a_missing_gallery_is_told_before_the_model_is_loaded(command, tmp_path):
    words = dict(add=['i'], search=['q'], copy=['c'], delete=['--id', 'x']).get(command, [])
    model = ['--model', tmp_path / 'gone.pth'] if command in ('add', 'search', 'serve', 'index') else []
    with pytest.raises(FileNotFoundError, match='gone.gallery'):
        run(command, tmp_path / 'gone.gallery', *words, *model)
    assert list(tmp_path.iterdir()) == []


def test_a_gallery_is_created_once(folder, model):
    (folder / 'text').write_text('mine')
    for name in ('a.gallery', 'text'):
        with pytest.raises(FileExistsError, match=name):
            run('create', folder / name, '--model', model)
    assert (folder / 'text').read_text() == 'mine'
