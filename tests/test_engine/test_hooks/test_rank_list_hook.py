# Copyright (c) mmreid contributors. All rights reserved.
import csv
from types import SimpleNamespace

import pytest
import torch
from tiny_data import write_image

from mmreid.engine.hooks import RankListHook
from mmreid.evaluation import ReIDMetric
from mmreid.models import CosineMatcher

# Four queries of one identity each and a gallery where query 3 finds its match first and query 0 last.
ANGLES = torch.linspace(0, 1.5, 8)


def run_hook(tmp_path, hook):
    metric = ReIDMetric(prefix='own')
    metric.matcher = CosineMatcher()
    messages = []
    runner = SimpleNamespace(
        test_loop=SimpleNamespace(pairs=[(None, SimpleNamespace(metrics=[metric, object()]))]),
        logger=SimpleNamespace(info=messages.append),
    )
    hook.before_test_epoch(runner)
    pids = [1, 2, 3, 4, 4, 3, 2, 1]
    for i, pid in enumerate(pids):
        path = write_image(tmp_path / 'images' / f'{i}.png', seed=pid)
        feature = torch.tensor([ANGLES[i].cos(), ANGLES[i].sin()])
        split = 'query' if i < 4 else 'gallery'
        row = dict(pid=pid, camid=int(i > 3), split=split, sample_idx=i, img_path=str(path), feature=feature)
        metric.process(None, [row])
    metric.evaluate(8)
    hook.after_test_epoch(runner)
    return metric, messages


@pytest.mark.parametrize(
    ('options', 'queries'),
    [
        (dict(select='best', num_queries=2), [3, 2]),
        (dict(select='worst', num_queries=2), [0, 1]),
        (dict(interval=2), [0, 2]),
        (dict(), [0, 1, 2, 3]),
    ],
)
def test_draws_the_chosen_queries(tmp_path, options, queries):
    hook = RankListHook(str(tmp_path / 'out'), topk=3, **options)
    metric, messages = run_hook(tmp_path, hook)
    assert hook.choose(metric) == queries
    drawn = sorted(path.name for path in (tmp_path / 'out' / 'own').iterdir())
    names = [f'query{query:05d}_pid{query + 1}_c0.jpg' for query in queries]
    assert drawn == [*sorted(names), 'ranked_lists.csv']
    with (tmp_path / 'out/own/ranked_lists.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['image'] for row in rows] == [name for name in names for _ in range(4)]
    best = next(row for row in rows if row['rank'] == '1')
    assert (best['match'] == 'True') == (int(best['pid']) == queries[0] + 1)
    assert messages == [f'{len(queries)} ranked lists of own drawn in {tmp_path / "out" / "own"}']


def test_window(tmp_path, monkeypatch):
    monkeypatch.setattr('sys.platform', 'linux')
    monkeypatch.delenv('DISPLAY', raising=False)
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    with pytest.raises(ValueError, match='show=True .*--show-dir'):
        RankListHook(show=True)
    with pytest.raises(ValueError, match='out_dir=None and show=False'):
        RankListHook()
    monkeypatch.setenv('DISPLAY', ':0')
    shown, waited = [], []
    monkeypatch.setattr('cv2.imshow', lambda name, image: shown.append(image.shape))
    monkeypatch.setattr('cv2.waitKey', waited.append)
    run_hook(tmp_path, RankListHook(show=True, wait_time=0.5, topk=2))
    assert len(shown) == 4 and waited == [500] * 4


def test_unknown_choice():
    with pytest.raises(ValueError, match='interval=0'):
        RankListHook('x', interval=0)
    with pytest.raises(ValueError, match="select='first'"):
        RankListHook('x', select='first')
