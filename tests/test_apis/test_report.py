# Copyright (c) mmreid contributors. All rights reserved.
"""Reports: what is in the data of the page, and what bad input does to it."""

import json
import re

import cv2
import numpy as np
import pytest
import torch
from report_data import people, write_features

from mmreid.apis.report import ReportOptions, read_sources, write_report
from mmreid.engine.features.saved_features import evaluate_features
from mmreid.utils.arch_io import Architecture, save_arch
from mmreid.utils.setup_env import register_all_modules

register_all_modules()


def data_of(page):
    """Gives the data of a page."""
    text = page.read_text(encoding='utf-8')
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)[1])


def build(folder, files, steps=(), **options):
    page, faults = write_report(folder / 'report', read_sources(list(map(str, files)), None, steps),
                                ReportOptions(**options))  # fmt: skip
    return data_of(page), faults


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """Two seeds of one model and one seed of a worse one."""
    folder = tmp_path_factory.mktemp('world')
    query, gallery = people(folder)
    for number, (name, noise) in enumerate(dict(good0=0.3, good1=0.35, bad=2.5).items()):
        sides = people(folder, noise=noise, draw=False)
        write_features(folder / f'{name}.pth', dict(query, feature=sides[0]['feature']),
                       dict(gallery, feature=sides[1]['feature']), model=f'{number}.pth')  # fmt: skip
    return folder


@pytest.fixture(scope='module')
def report(world):
    files = [f'good={world / "good0.pth"}', f'good={world / "good1.pth"}', f'bad={world / "bad.pth"}']
    content, faults = build(world, files, steps=[dict(type='QueryExpansion')], num_queries=10, topk=5)
    assert faults == []
    return content


def test_the_table_has_what_the_metric_reports(world, report):
    (found,) = report['sets']
    values = [evaluate_features(world / f'{name}.pth', dict(type='ReIDMetric'))[0] for name in ('good0', 'good1')]
    maps = [of_seed['own/mAP'] for of_seed in values]
    rows = {(row['model'], row['steps']): row for row in found['rows']}
    assert set(rows) == {(model, steps) for model in ('good', 'bad') for steps in ('', 'qe')}
    mean, spread, each = rows['good', '']['values']['mAP']
    assert each == maps and mean == pytest.approx(np.mean(maps)) and spread == pytest.approx(np.std(maps, ddof=1))
    assert rows['good', '']['seeds'] == 2 and rows['bad', '']['values']['mAP'][1] is None
    assert rows['bad', '']['values']['mAP'][0] < mean


def test_plots_name_all_models(report):
    (found,) = report['sets']
    for name in ('cmc', 'precision_recall', 'roc'):
        assert found['plots'][name].startswith('<svg') and 'good (2 seeds)' in found['plots'][name]
        assert '<style' not in found['plots'][name] and '<script' not in found['plots'][name]
    assert all('equal error rate' in model['histogram'] for model in found['models'])


def test_ranked_lists_are_the_hardest_and_others(world, report):
    bad = report['sets'][0]['models'][1]
    values = [entry['ap'] for entry in bad['lists']]
    assert len(values) == 10 and values == sorted(values) and bad['num_lists'] == 24
    entry = bad['lists'][0]
    assert len(entry['images']) == 5 and entry['matches'] == 4
    number, pid, camid = entry['query']
    assert report['images'][number][1].endswith(f'_p{int(pid) - 1}_c{camid}.png')
    for _, other, other_camera, score, match in entry['images']:
        assert match == (other == pid) and abs(score) <= 1 and (not match or other_camera != camid)
    copy = cv2.imread(str(world / 'report' / report['images'][number][0]))
    assert max(copy.shape) <= 160


def test_cameras_and_confusions(report):
    good, bad = report['sets'][0]['models']
    matrix = np.array(good['cameras']['values']['mAP'], dtype=float)
    assert matrix.shape == (3, 3) and np.isnan(np.diag(matrix)).all() and np.nanmin(matrix) > 90
    assert bad['num_confusions'] > good['num_confusions'] and bad['confusions'][0]['share'] > 0


def test_names_cannot_become_markup(world, tmp_path):
    evil = '</script><img src onerror>$_{'
    query, gallery = people(world, draw=False)
    for side in (query, gallery):
        side['pid_name'] = [f'{evil}{pid}' for pid in side['pid'].tolist()]
        side['camid_name'] = [f'<b>{camid}' for camid in side['camid'].tolist()]
    write_features(tmp_path / 'a.pth', query, gallery, name=evil.replace('/', ''))
    content, _ = build(tmp_path, [f'{evil}={tmp_path / "a.pth"}', f'b={tmp_path / "a.pth"}'], title=evil)
    text = (tmp_path / 'report/index.html').read_text(encoding='utf-8')
    assert '<img' not in text and text.count('</script>') == 2
    assert content['title'] == evil and content['sets'][0]['models'][0]['name'] == evil
    assert content['sets'][0]['models'][0]['lists'][0]['query'][1].startswith(evil)
    assert '<img' not in content['sets'][0]['plots']['cmc']


def test_bad_files_are_named_and_the_rest_is_built(world, tmp_path):
    (tmp_path / 'text.pth').write_text('no features')
    query, gallery = people(world, num_people=5, draw=False)
    query['img_path'][2] = str(tmp_path / 'gone.png')
    (tmp_path / 'broken.png').write_bytes(b'no image')
    gallery['img_path'][4] = str(tmp_path / 'broken.png')
    write_features(tmp_path / 'fewer.pth', query, gallery)
    gallery = dict(gallery, feature=gallery['feature'][:, :8])
    write_features(tmp_path / 'unequal.pth', query, gallery)
    nan = dict(query, feature=query['feature'] * float('nan'))
    write_features(tmp_path / 'nan.pth', nan, dict(gallery, feature=nan['feature'].repeat(2, 1)))
    files = [tmp_path / f'{name}.pth' for name in ('text', 'absent', 'unequal', 'nan', 'fewer')]
    content, faults = build(tmp_path, [*files, world / 'good0.pth'])
    assert [model['name'] for model in content['sets'][0]['models']] == ['fewer', 'good0']
    assert content['faults'] == faults
    for name in ('text', 'absent', 'unequal', 'nan'):
        assert sum(f'{name}.pth is left out' in sentence for sentence in faults) == 1, name
    assert any(sentence.startswith('2 of ') and str(tmp_path) in sentence for sentence in faults)
    assert any('15 + 30' in sentence and '24 + 48' in sentence for sentence in faults)
    shown = dict((path, address) for address, path in content['images'])
    assert shown[str(tmp_path / 'gone.png')] is None and shown[str(tmp_path / 'broken.png')] is None
    with pytest.raises(ValueError, match=r'absent\.pth'):
        build(tmp_path, [tmp_path / 'absent.pth'])


def test_images_without_labels_get_their_nearest(tmp_path):
    query, gallery = people(tmp_path, num_people=4)
    names, features = gallery['img_path'], gallery['feature'].numpy()
    np.savez(tmp_path / 'e.npz', names=np.array(names), features=features)
    np.savez(tmp_path / 'maps.npz', names=np.array(names), features=features.reshape(len(names), 4, 2, 2))
    np.savez(tmp_path / 'objects.npz', names=np.array(names, dtype=object), features=features)
    content, faults = build(tmp_path, [tmp_path / f'{name}.npz' for name in ('e', 'maps', 'objects')], topk=3)
    assert len(faults) == 2 and 'maps.npz' in faults[0] and 'objects.npz' in faults[1]
    (part,) = content['unlabeled']
    assert content['sets'] == [] and part['num_lists'] == len(part['lists']) == 24
    unit = torch.nn.functional.normalize(gallery['feature'], dim=1)
    scores = (unit @ unit.T).fill_diagonal_(-2)
    for index, entry in enumerate(part['lists']):
        files = [content['images'][image[0]][1] for image in entry['images']]
        assert files == [names[i] for i in scores[index].topk(3).indices]
        assert content['images'][entry['query'][0]][1] == names[index] and entry['images'][0][4] is None


def test_images_can_be_linked(world, tmp_path):
    content, _ = build(tmp_path, [world / 'good0.pth'], link_images=True, num_queries=2)
    address, path = content['images'][0]
    assert not any((tmp_path / 'report/index_files').iterdir())
    assert (tmp_path / 'report' / address).resolve().samefile(path)


def test_only_an_earlier_report_is_replaced(world, tmp_path):
    build(tmp_path, [world / 'good0.pth'], num_queries=10)
    many = sorted(path.name for path in (tmp_path / 'report/index_files').iterdir())
    (tmp_path / 'report/own.txt').write_text('stays')
    content, _ = build(tmp_path, [world / 'good0.pth'], num_queries=1, topk=1)
    left = sorted(path.name for path in (tmp_path / 'report/index_files').iterdir())
    assert left == sorted(address.split('/')[1] for address, _ in content['images']) and len(left) < len(many)
    assert (tmp_path / 'report/own.txt').read_text() == 'stays'
    (tmp_path / 'report/index.html').write_text('<p>somebody else')
    with pytest.raises(FileExistsError, match='index.html'):
        build(tmp_path, [world / 'good0.pth'])
    assert (tmp_path / 'report/index.html').read_text() == '<p>somebody else'


def test_equal_files_are_found(tmp_path):
    query, gallery = people(tmp_path, num_people=4)
    first, second = gallery['img_path'][0], gallery['img_path'][9]
    with open(second, 'wb') as file, open(first, 'rb') as source:
        file.write(source.read())
    content, _ = build(tmp_path, [write_features(tmp_path / 'a.pth', query, gallery)])
    (group,) = content['sets'][0]['models'][0]['copies']
    assert {content['images'][image[0]][1] for image in group} == {first, second}
    assert len({image[1] for image in group}) == 2


def test_one_camera_leaves_only_the_matrix_out(tmp_path):
    query, gallery = people(tmp_path, num_people=4)
    query['camid'][:], gallery['camid'][:] = 0, 0
    content, faults = build(tmp_path, [write_features(tmp_path / 'a.pth', query, gallery)])
    (found,) = content['sets']
    assert found['models'][0]['cameras'] is None and found['plots']['roc'] and faults == []


def test_parts_of_methods(tmp_path):
    run = tmp_path / 'run'
    (run / 'graphs').mkdir(parents=True)
    norms = {f'layer1.0.bn{number}': 'split' if number == 2 else 'share' for number in (1, 2, 3)}
    save_arch(run / 'arch.json', Architecture(norms))
    pids, neighbors = np.arange(5) + 10, np.array([[(i + j) % 5 + 10 for j in (1, 2)] for i in range(5)])
    table = dict(
        pids=pids, neighbors=neighbors, scores=np.full((5, 2), 0.5), files=np.array([[f'{p}.png'] for p in pids])
    )
    np.savez(run / 'graphs/epoch_9.npz', **dict(table, pids=pids[:3]))
    np.savez(run / 'graphs/epoch_10.npz', **table)
    log = run / '20250101_000000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(''.join(json.dumps({'neighbors/target_nearest': 10.0 * n, 'step': n}) + '\n' for n in (1, 2, 3)))
    grid = log.parent / 'vis_image/style_grid_20.png'
    grid.parent.mkdir()
    cv2.imwrite(str(grid), np.zeros((8, 8, 3), np.uint8))
    content, faults = build(tmp_path, [], work_dirs=(str(run), str(tmp_path / 'nothing')))
    titles = [part['title'].partition(':')[0] for part in content['parts']]
    assert titles == ['CM-NAS', 'Graph sampling', 'ECN', 'Camera styles (run)']
    assert all((tmp_path / 'report' / part['file']).is_file() for part in content['parts'] if 'file' in part)
    graph = content['parts'][1]['graph']
    assert [[entry[1] for entry in row] for row in graph][:2] == [['10', '11', '12'], ['11', '12', '13']]
    assert len(faults) == 2 and any('nothing' in sentence for sentence in faults)  # and the files that do not exist
    (run / 'graphs/epoch_11.npz').write_bytes(b'PK broken')
    content, faults = build(tmp_path, [], work_dirs=(str(run),))
    assert len(content['parts']) == 3 and 'run' in faults[0]
