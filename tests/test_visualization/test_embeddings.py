# Copyright (c) mmreid contributors. All rights reserved.
"""Embeddings: which are chosen, where t-SNE puts them, and what the backends get."""

import csv
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.visualization import LocalVisBackend, TensorboardVisBackend, WandbVisBackend
from report_data import people, write_features

from mmreid.engine.hooks import EmbeddingHook
from mmreid.evaluation import ReIDMetric, RetrievalSet
from mmreid.visualization.embedding_backends import send_embeddings
from mmreid.visualization.embeddings import choose_embeddings, draw_embeddings, project

pytest.importorskip('sklearn', reason='scikit-learn is not installed')


def one_set(folder, draw=False, **options):
    query, gallery = people(folder, draw=draw, **options)
    return RetrievalSet(**query), RetrievalSet(**gallery)


def test_all_images_of_random_people_are_chosen(tmp_path):
    sides = one_set(tmp_path)
    found = choose_embeddings([('own', *sides)], 27, seed=1)
    assert len(found) == 27 and len(set(found.labels['identity'])) == 3
    again = choose_embeddings([('own', *sides)], 27, seed=1)
    assert found.img_path == again.img_path and torch.equal(found.feature, again.feature)
    assert choose_embeddings([('own', *sides)], 27, seed=2).img_path != found.img_path
    assert found.varied == ['identity', 'camera'] and set(found.labels['modality']) == {'unknown'}
    for path, identity, camera in zip(found.img_path, found.labels['identity'], found.labels['camera'], strict=True):
        assert path.endswith(f'_p{int(identity) - 1}_c{camera}.png')


def test_identities_may_be_any_numbers(tmp_path):
    query, gallery = one_set(tmp_path)
    few = choose_embeddings([('own', query, gallery)], 27, seed=1)
    for side in (query, gallery):
        side.pid = side.pid * 10**15 + 5
    many = choose_embeddings([('own', query, gallery)], 27, seed=1)
    assert many.img_path == few.img_path


def test_domains_are_test_sets_of_one_model(tmp_path):
    first, second = one_set(tmp_path), one_set(tmp_path, seed=1)
    found = choose_embeddings([('a', *first), ('b', *second)], 60)
    assert found.labels['domain'].count('a') == found.labels['domain'].count('b') == 30
    assert 'domain' in found.varied and {name[0] for name in found.labels['identity']} == {'a', 'b'}
    with pytest.raises(ValueError, match='16 of a, 8 of c'):
        choose_embeddings([('a', *first), ('c', *one_set(tmp_path, dims=8))], 60)


def test_maps_are_averaged(tmp_path):
    query, gallery = one_set(tmp_path)
    for side in (query, gallery):
        side.feature = torch.stack([side.feature, 3 * side.feature], 2)[..., None]
    found = choose_embeddings([('own', query, gallery)], 1000)
    plain = choose_embeddings([('own', *one_set(tmp_path))], 1000)
    assert torch.allclose(found.feature, plain.feature, atol=1e-6)


def test_people_lie_together(tmp_path):
    found = choose_embeddings([('own', *one_set(tmp_path))], 1000)
    places = project(found.feature, seed=3)
    np.testing.assert_array_equal(places, project(found.feature, seed=3))
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    identity = np.array(found.labels['identity'])
    assert (identity[distance.argmin(1)] == identity).mean() > 0.95
    with pytest.raises(ValueError, match='4 images'):
        project(found.feature[:4])


def test_names_are_drawn_as_they_are(tmp_path):
    draw_embeddings(
        tmp_path / 'a.png', np.random.default_rng(0).normal(size=(6, 2)), dict(camera=['$x_{', '_a'] * 3), '$'
    )
    assert cv2.imread(str(tmp_path / 'a.png')).shape[0] > 400


class FakeWandb:
    """What the backend uses of wandb, which keeps what is logged."""

    def __init__(self):
        self.logged = []
        self.log = self.logged.append
        self.Table = lambda columns, data: SimpleNamespace(columns=columns, data=data)


def test_each_backend_gets_its_form(tmp_path):
    pytest.importorskip('tensorboard', reason='tensorboard is not installed')
    found = choose_embeddings([('own', *one_set(tmp_path, draw=True))], 18)
    send_embeddings(LocalVisBackend(str(tmp_path / 'local')), 'a/b', found, 7)
    with np.load(tmp_path / 'local/embeddings/a_b_7.npz') as content:
        assert content['names'].tolist() == found.img_path and content['identity'].tolist() == found.labels['identity']
        np.testing.assert_array_equal(content['features'], found.feature.numpy())

    board = TensorboardVisBackend(str(tmp_path / 'board'))
    send_embeddings(board, 'own', found, 7)
    (folder,) = (tmp_path / 'board').glob('*/own')
    vectors = np.loadtxt(folder / 'tensors.tsv', delimiter='\t')
    np.testing.assert_allclose(vectors, found.feature.numpy(), atol=1e-5)
    rows = [line.split('\t') for line in (folder / 'metadata.tsv').read_text().splitlines()]
    assert rows[0] == list(found.labels) and [row[0] for row in rows[1:]] == found.labels['identity']
    assert (folder / 'sprite.png').is_file()

    backend, wandb = WandbVisBackend(str(tmp_path / 'w')), FakeWandb()
    backend._env_initialized, backend._wandb = True, wandb
    send_embeddings(backend, 'own', found, 7)
    table = wandb.logged[0]['embeddings/own']
    assert len(table.data) == 18 and len(table.columns) == len(table.data[0]) == 4 + 1 + 16


def test_hook_shows_every_nth_validation(tmp_path):
    metric = ReIDMetric(prefix='own')
    metric.test_set = one_set(tmp_path)
    images = []
    backend = LocalVisBackend(str(tmp_path / 'local'))
    visualizer = SimpleNamespace(_vis_backends=dict(local=backend), add_image=lambda *a, **k: images.append((a, k)))
    pairs = [(None, SimpleNamespace(metrics=[object(), metric]))]
    runner = SimpleNamespace(val_loop=SimpleNamespace(pairs=pairs), visualizer=visualizer, epoch=3)
    hook = EmbeddingHook(num_images=30, interval=2)
    hook.after_val_epoch(runner)
    assert images == []
    hook.after_val_epoch(runner)
    (((name, image), options),) = images
    assert name == 'embeddings/own' and options == dict(step=3) and image.dtype == np.uint8 and image.ndim == 3
    assert [path.name for path in (tmp_path / 'local/embeddings').iterdir()] == ['own_3.npz']
    with pytest.raises(ValueError, match='num_images=4'):
        EmbeddingHook(num_images=4)


def test_tool_draws_and_lists(tmp_path, capsys):
    from test_tools.tool_modules import load_tool

    tool = load_tool('visualization/vis_embeddings.py')
    files = [str(write_features(tmp_path / f'{name}.pth', *people(tmp_path, draw=False), name=name)) for name in 'ab']
    tool.main([*files, '--out', str(tmp_path / 'e.png'), '--num-images', '60'])
    assert 'identity, camera, domain' in capsys.readouterr().out
    with (tmp_path / 'e.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60 and {row['domain'] for row in rows} == {'a', 'b'} and float(rows[0]['x']) < 1e4
    content = torch.load(files[1], weights_only=True)
    models = [dict(name='a.pth', hash='0' * 16), dict(name='b.pth', hash='1' * 16)]
    for file, model in zip(files, models, strict=True):
        torch.save(dict(content, model=model), file)
    with pytest.raises(ValueError, match=r'b\.pth \(1{16}\).* a\.pth \(0{16}\)'):
        tool.main([*files, '--out', str(tmp_path / 'two.png')])
    with pytest.raises(SystemExit):
        tool.parse_args([*files, '--out', str(tmp_path / 'e.txt')])
    np.savez(tmp_path / 'e.npz', names=np.array(['a.png']), features=np.zeros((1, 2), np.float32))
    with pytest.raises(ValueError, match=r'e\.npz .*without labels'):
        tool.main([str(tmp_path / 'e.npz'), '--out', str(tmp_path / 'e.png')])
