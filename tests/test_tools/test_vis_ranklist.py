# Copyright (c) mmreid contributors. All rights reserved.
"""Ranked lists from saved features: which queries, which images, what is drawn and written."""

import csv

import cv2
import numpy as np
import pytest
import torch
from tiny_data import write_image

from mmreid.engine.features.saved_features import FORMAT
from mmreid.visualization.rank_list import CAPTION, FRAME, GREEN, LINE, RED

from .tool_modules import load_tool

TOOL = load_tool('visualization/vis_ranklist.py')
ANGLES = torch.linspace(0, 1.2, 4)


def side(folder, role, pids, camids, angles, modality=None):
    paths = [str(write_image(folder / role / f'{i}_p{pid}_c{camid}.png', seed=i))
             for i, (pid, camid) in enumerate(zip(pids, camids, strict=True))]  # fmt: skip
    start = 0 if role == 'query' else 100
    return dict(
        feature=torch.stack([angles.cos(), angles.sin()], 1), pid=torch.tensor(pids), camid=torch.tensor(camids),
        sample_idx=list(range(start, start + len(pids))), img_path=paths, modality=[modality] * len(pids),
    )  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    """Four queries: the first finds its match last, the others first. An image of its own camera is nearest to it."""
    query = side(tmp_path, 'query', [1, 2, 3, 4], [0] * 4, ANGLES)
    gallery = side(
        tmp_path, 'gallery', [4, 3, 2, 1, 1], [1, 1, 1, 1, 0], torch.cat([ANGLES.flip(0)[[0, 1, 2, 0]], ANGLES[:1]])
    )
    gallery['feature'][3] = torch.tensor([-1.0, 0.0])
    content = dict(format=FORMAT, matcher=dict(config=dict(type='CosineMatcher'), state={}),
                   test_sets=[dict(meta=dict(dataset_name='own'), query=query, gallery=gallery)])  # fmt: skip
    torch.save(content, tmp_path / 'features.pth')
    (tmp_path / 'metric.py').write_text("test_evaluator = dict(type='ReIDMetric')\n")
    return tmp_path


def draw(folder, *words):
    TOOL.main([str(folder / 'metric.py'), str(folder / 'features.pth'), '--out', str(folder / 'out'), *map(str, words)])
    with (folder / 'out/own/ranked_lists.csv').open(newline='') as file:
        return list(csv.DictReader(file))


def test_worst_first_and_junk_left_out(saved, capsys):
    rows = draw(saved, '--num-queries', 2, '--topk', 3)
    assert '2 ranked lists' in capsys.readouterr().out
    lists = [rows[:4], rows[4:]]
    assert [rows[0]['pid'] for rows in lists] == ['1', '2'] and [row['rank'] for row in lists[0]] == list('0123')
    # The nearest image of query 0 is of its own identity and camera.
    assert [row['pid'] for row in lists[0]] == ['1', '2', '3', '4'] and '4_p1_c0.png' not in str(lists[0])
    assert [row['ap'] for row in lists[0]] == ['25.0', '', '', ''] and lists[0][0]['score'] == ''
    assert (
        all(float(row['score']) <= 1 for row in lists[0][1:])
        and [row['match'] for row in lists[0][1:]] == ['False'] * 3
    )
    assert sorted(path.name for path in (saved / 'out/own').iterdir()) == [
        'query00000_pid1_c0.png', 'query00001_pid2_c0.png', 'ranked_lists.csv'
    ]  # fmt: skip


def test_ids_of_any_text_stay_readable(saved):
    content = torch.load(saved / 'features.pth', weights_only=True)
    for role in ('query', 'gallery'):
        side = content['test_sets'][0][role]
        side['pid_name'] = [f'Jürgen/{pid}' for pid in side['pid'].tolist()]
        side['camid_name'] = ['door' if camid else None for camid in side['camid'].tolist()]
    torch.save(content, saved / 'features.pth')
    rows = draw(saved, '--num-queries', 1, '--topk', 2)
    assert [row['pid'] for row in rows] == ['Jürgen/1', 'Jürgen/2', 'Jürgen/3']
    assert [row['camid'] for row in rows] == ['0', 'door', 'door']
    assert rows[0]['image'] == 'query00000_pidJürgen_1_c0.png'
    image = cv2.imdecode(np.fromfile(saved / 'out/own' / rows[0]['image'], np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[0] == 192 + 2 * FRAME + CAPTION + 3 * LINE


def test_frames_follow_the_table(saved):
    rows = draw(saved, '--select', 'best', '--num-queries', 1, '--topk', 3)
    assert rows[0]['pid'] == '2' and [row['match'] for row in rows] == ['', 'True', 'False', 'False']
    image = cv2.imread(str(saved / 'out/own' / rows[0]['image']))
    width = image.shape[1] // 4
    frames = [tuple(image[0, width * number + width // 2].tolist()) for number in range(1, 4)]
    assert frames == [GREEN, RED, RED] and FRAME < 10


def test_random_follows_the_seed(saved):
    first, again = (draw(saved, '--select', 'random', '--num-queries', 3, '--seed', 7) for _ in range(2))
    others = [draw(saved, '--select', 'random', '--num-queries', 3, '--seed', seed) for seed in range(4)]
    assert first == again and any(other != first for other in others)


def test_queries_by_name(saved):
    rows = draw(saved, '--queries', '2_p3_c0.png', 'query/0_p1_c0.png', '--sheet')
    assert [row['pid'] for row in rows if row['rank'] == '0'] == ['3', '1']
    sheet = cv2.imread(str(saved / 'out/own/sheet.png'))
    single = cv2.imread(str(saved / 'out/own' / rows[0]['image']))
    assert sheet.shape == (2 * single.shape[0], *single.shape[1:]) and (sheet[: len(single)] == single).all()
    with pytest.raises(ValueError, match="'2_p3_c1.png'; .*2_p3_c0.png"):
        draw(saved, '--queries', '2_p3_c1.png')


def test_steps_change_the_scores(saved):
    plain = draw(saved, '--queries', '3_p4_c0.png')
    reranked = draw(saved, '--queries', '3_p4_c0.png', '--rerank')
    assert [row['score'] for row in plain[1:]] != [row['score'] for row in reranked[1:]]
    (saved / 'metric.py').write_text(
        "test_evaluator = dict(type='ReIDMetric', post=[dict(type='KReciprocalRerank')])\n"
    )
    assert draw(saved, '--queries', '3_p4_c0.png', '--post') == reranked
    assert draw(saved, '--queries', '3_p4_c0.png') == plain


def test_missing_files_are_named_or_gray(saved, capsys):
    missing = next((saved / 'gallery').glob('0_*'))
    missing.unlink()
    with pytest.raises(FileNotFoundError, match=f"1 of 9 .*'own' .*{missing}; .*--gray-missing"):
        draw(saved)
    assert not list((saved / 'out').rglob('*.png'))
    rows = draw(saved, '--gray-missing', '--sheet')
    assert '1 of 9 images do not exist and are gray' in capsys.readouterr().out and len(rows) == 4 + 4 + 3 * 5


def test_rows_and_test_sets_are_chosen_by_name(saved):
    with pytest.raises(ValueError, match="'market1501'; .* own"):
        draw(saved, '--test-set', 'market1501')
    with pytest.raises(ValueError, match="row 'indoor'; "):
        draw(saved, '--row', 'indoor')
    assert len(draw(saved, '--test-set', 'own', '--topk', 1)) == 8


def test_first_trial_of_a_row(tmp_path):
    query = side(tmp_path, 'query', [1, 2], [2, 5], ANGLES[:2], 'infrared')
    gallery = side(tmp_path, 'gallery', [1, 2, 1, 2], [0, 1, 3, 4], ANGLES, 'visible')
    content = dict(format=FORMAT, matcher=dict(config=dict(type='CosineMatcher'), state={}),
                   test_sets=[dict(meta=dict(dataset_name='own'), query=query, gallery=gallery)])  # fmt: skip
    torch.save(content, tmp_path / 'features.pth')
    (tmp_path / 'metric.py').write_text("test_evaluator = dict(type='SYSUMetric', mode=('all', 'indoor'))\n")
    rows = draw(tmp_path, '--row', 'indoor-single')
    assert {row['camid'] for row in rows if row['rank'] != '0'} == {'0', '1'}
    assert {row['camid'] for row in draw(tmp_path) if row['rank'] != '0'} == {'0', '1', '3', '4'}
