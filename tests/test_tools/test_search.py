# Copyright (c) mmreid contributors. All rights reserved.
"""Searching and clustering folders without labels: what is written, what is refused."""

import csv
import json

import cv2
import numpy as np
import pytest
import torch
from tiny_data import write_image
from tiny_models import trained

from mmreid.apis import ReIDInferencer
from mmreid.apis.threshold import FORMAT
from mmreid.datasets import CorruptImageError
from mmreid.evaluation.functional import FeaturePairs, rerank
from mmreid.visualization.rank_list import BLUE, GRAY

from .tool_modules import load_tool

TOOL = load_tool('search.py')


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp('model') / 'a.pth'
    trained('ImageReID', path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Two queries and a gallery of five images, one of which is the first query once more."""
    for number, name in enumerate(('query/0.png', 'query/=1+1.png')):
        write_image(tmp_path / name, number)
    for number in range(5):
        write_image(tmp_path / f'gallery/{number}.png', number)
    return tmp_path


def search(model, folder, *words):
    sides = ['--query', folder / 'query', '--gallery', folder / 'gallery']
    TOOL.main([str(word) for word in (model, *sides, '--out', folder / 'out', '--device', 'cpu', *words)])
    return json.loads((folder / 'out/ranked.json').read_text())


def table(path):
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def test_tables_say_what_the_search_finds(model, folder, capsys):
    content = search(model, folder, '--topk', 3)
    assert '2 queries in 5 images' in capsys.readouterr().out and content['left_out'] == []
    inferencer = ReIDInferencer(model, device='cpu')
    wanted = inferencer.search(folder / 'query', folder / 'gallery', 3)
    assert [entry['query'] for entry in content['queries']] == wanted.query_names
    for entry, names, scores in zip(content['queries'], wanted.names, wanted.scores, strict=True):
        assert [image['file'] for image in entry['found']] == names
        np.testing.assert_allclose([image['score'] for image in entry['found']], scores)
    rows = table(folder / 'out/ranked.csv')
    assert list(rows[0]) == ['query', 'rank', 'file', 'score'] and [row['rank'] for row in rows] == list('123123')
    assert [row['file'] for row in rows] == [name for names in wanted.names for name in names]
    assert not list(folder.glob('.out*'))


def test_lists_are_drawn_without_right_and_wrong(model, folder):
    search(model, folder, '--topk', 2, '--draw', 1)
    (path,) = (folder / 'out/lists').iterdir()
    image = cv2.imread(str(path))
    width = image.shape[1] // 3
    assert [tuple(image[0, width * number + width // 2].tolist()) for number in range(3)] == [BLUE, GRAY, GRAY]
    search(model, folder, '--draw', 0, '--force')
    assert not (folder / 'out/lists').exists()


def test_a_name_that_is_a_formula(model, folder, monkeypatch):
    monkeypatch.chdir(folder / 'query')
    sides = ['--query', '=1+1.png', '--gallery', '*.png', '--out', '../out', '--device', 'cpu']
    TOOL.main([str(model), *sides])
    rows = table(folder / 'out/ranked.csv')
    assert [(row['query'], row['file']) for row in rows] == [("'=1+1.png", '0.png')]  # not the file of the query
    assert json.loads((folder / 'out/ranked.json').read_text())['queries'][0]['query'] == '=1+1.png'


def test_a_query_is_not_found_in_its_own_folder(model, folder):
    inferencer = ReIDInferencer(model, device='cpu')
    gallery = folder / 'gallery'
    result = inferencer.search(gallery, gallery, 5, skip_own_file=True)
    assert (result.indices[:, 4] == -1).all() and np.isnan(result.scores[:, 4]).all()
    assert [sorted([name, *names]) for name, names in zip(result.query_names, result.names, strict=True)] == [
        result.gallery_names
    ] * 5
    vectors = inferencer.extract(gallery)
    assert (inferencer.search(vectors, vectors, 1, skip_own_file=True).indices[:, 0] == range(5)).all()


def test_re_ranking(model, folder):
    content = search(model, folder, '--rerank', '--topk', 5)
    inferencer = ReIDInferencer(model, device='cpu')
    sides = [torch.from_numpy(inferencer.extract(folder / name, normalize=False)) for name in ('query', 'gallery')]
    pairs = FeaturePairs(sides, inferencer.model.matcher)
    scores = rerank(pairs, 2, to_distance=lambda scores: (1 - scores).clamp_min_(0)).rows(slice(0, 2))
    for entry, row in zip(content['queries'], scores.sort(descending=True).values.tolist(), strict=True):
        np.testing.assert_allclose([image['score'] for image in entry['found']], row, atol=1e-5)
    assert content['reranked'] and 'threshold' not in content


def test_a_threshold_decides(model, folder):
    inferencer = ReIDInferencer(model, device='cpu')
    scores = inferencer.search(folder / 'query', folder / 'gallery', 3).scores
    value = float(np.sort(scores, None)[3])
    content = dict(format=FORMAT, threshold=value, model=dict(name='a.pth', hash=inferencer.fingerprint))
    (folder / 't.json').write_text(json.dumps(content))
    search(model, folder, '--topk', 3, '--threshold', folder / 't.json')
    rows = table(folder / 'out/ranked.csv')
    assert [row['same'] for row in rows] == [str(bool(score >= value)) for score in scores.flatten()]
    content['model']['hash'] = '0' * 16
    (folder / 't.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f'{"0" * 16}.*{inferencer.fingerprint}'):
        search(model, folder, '--threshold', folder / 't.json', '--force')
    assert table(folder / 'out/ranked.csv') == rows  # what is there stays until all is new


def test_an_image_that_cannot_be_read(model, folder, mmreid_log):
    broken = folder / 'gallery/broken.png'
    broken.write_bytes(b'no image')
    with pytest.raises(CorruptImageError, match='broken.png'):
        search(model, folder)
    assert not (folder / 'out').exists() and not list(folder.glob('.out*'))
    assert search(model, folder, '--skip-unreadable')['left_out'] == [str(broken)]
    assert 'broken.png' in mmreid_log.text
    assert 'broken.png' not in (folder / 'out/ranked.csv').read_text()


def test_clusters_become_tables_and_sheets(model, folder, capsys):
    pytest.importorskip('sklearn')
    paths = [folder / f'people/{person}_{number}.png' for person in range(3) for number in range(3 if person else 2)]
    for path in paths:
        write_image(path, int(path.name[0]))  # images of a person are equal
    words = ['--cluster', folder / 'people', '--out', folder / 'out', '--device', 'cpu', '--k1', 3, '--k2', 1]
    TOOL.main([str(word) for word in (model, *words)])
    assert '3 clusters of 8 images, 0 images' in capsys.readouterr().out
    rows = table(folder / 'out/clusters.csv')
    assert [(row['file'][-7:], row['cluster']) for row in rows] == [
        ('1_0.png', '0'), ('1_1.png', '0'), ('1_2.png', '0'), ('2_0.png', '1'), ('2_1.png', '1'), ('2_2.png', '1'),
        ('0_0.png', '2'), ('0_1.png', '2'),
    ]  # fmt: skip
    content = json.loads((folder / 'out/clusters.json').read_text())
    assert [len(files) for files in content['clusters']] == [3, 3, 2] and content['alone'] == []
    sheets = {path.name: cv2.imread(str(path)).shape for path in (folder / 'out/sheets').iterdir()}
    assert sorted(sheets) == [f'cluster{number:05d}.png' for number in range(3)]
    assert sheets['cluster00000.png'][1] > sheets['cluster00002.png'][1]


def test_an_image_that_is_like_no_other(model, folder):
    pytest.importorskip('sklearn')
    words = ['--cluster', folder / 'query', '--out', folder / 'out', '--device', 'cpu', '--k1', 1, '--k2', 1]
    TOOL.main([str(word) for word in (model, *words)])
    assert {row['cluster'] for row in table(folder / 'out/clusters.csv')} == {'-1'}
    assert [path.name for path in (folder / 'out/sheets').iterdir()] == ['alone.png']


def test_settings_are_checked_before_the_model_is_loaded(folder):
    pytest.importorskip('sklearn')
    with pytest.raises(ValueError, match='eps=7.0'):
        TOOL.main(['nothing.pth', '--cluster', str(folder), '--eps', '7', '--out', str(folder / 'out')])


def test_a_folder_with_other_content_is_kept(model, folder):
    (folder / 'out').mkdir()
    (folder / 'out/mine.txt').write_text('mine')
    with pytest.raises(FileExistsError, match=str(folder / 'out')):
        search(model, folder, '--force')


@pytest.mark.parametrize(
    ('words', 'named'),
    [
        (['--query', 'a'], '--gallery'), (['--cluster', 'a', '--rerank'], '--rerank'), ([], '--query'),
        (['--query', 'a', '--gallery', 'b', '--rerank', '--threshold', 'c'], '--threshold'),
        (['--cluster', 'a', '--modality', 'visible', 'infrared'], 'visible infrared'),
        (['--query', 'a', '--gallery', 'b', '--topk', '0'], '--topk 0'),
        (['--query', 'a', '--gallery', 'b', '--draw', '-1'], '--draw -1'),
    ],
)  # fmt: skip
def test_a_command_line_that_makes_no_sense(words, named, capsys):
    with pytest.raises(SystemExit):
        TOOL.main(['a.pth', *words])
    assert named in capsys.readouterr().err


def test_each_side_has_its_modality(folder):
    trained('CrossModalReID', folder / 'a.pth')
    content = search(folder / 'a.pth', folder, '--modality', 'infrared', 'visible', '--topk', 1)
    inferencer = ReIDInferencer(folder / 'a.pth', device='cpu')
    wanted = inferencer.search(folder / 'query', folder / 'gallery', 1, modality=('infrared', 'visible'))
    found = [entry['found'][0]['score'] for entry in content['queries']]
    np.testing.assert_allclose(found, wanted.scores[:, 0], atol=1e-6)
