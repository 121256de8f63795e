# Copyright (c) mmreid contributors. All rights reserved.
"""Logs of trainings: killed, resumed, several seeds; their curves and tables."""

import json

import numpy as np
import pytest

from mmreid.utils.training_log import read_training_log, train_time, unique_names
from mmreid.visualization import curves
from mmreid.visualization.curves import Curve, mean_curve

from .tool_modules import load_tool

TOOL = load_tool('analysis_tools/analyze_logs.py')


def train_row(epoch, step, loss, time=0.2, **more):
    return dict(loss=loss, data_time=time / 4, time=time, epoch=epoch, iter=step, step=step, **more)


def val_row(epoch, value, **more):
    return {'market1501/mAP': value, 'market1501+rerank/mAP': value + 10, 'market1501/Rank-1': value / 2,
            'market1501/num_query': 9, 'data_time': 0.1, 'time': 0.3, 'step': epoch, **more}  # fmt: skip


def write_log(run, rows, time='20260101_000000', end=''):
    file = run / time / 'vis_data' / 'scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text('\n'.join(map(json.dumps, rows)) + '\n' + end)
    return file


def two_epochs(last):
    return [train_row(1, 5, 4.0), train_row(1, 10, 3.0), val_row(1, 30.0),
            train_row(2, 15, 2.0, 0.6), train_row(2, 20, 1.0, 0.4), val_row(2, last)]  # fmt: skip


def test_positions_are_epochs_or_iterations(tmp_path):
    log = read_training_log(write_log(tmp_path / 'run', two_epochs(20.0)))
    assert [values.tolist() for values in log.values('loss')] == [[0.5, 1, 1.5, 2], [4, 3, 2, 1]]
    assert log.values('loss', by_epoch=False)[0].tolist() == [5, 10, 15, 20]
    assert [values.tolist() for values in log.values('market1501/mAP')] == [[1, 2], [30, 20]]
    assert log.values('market1501/mAP', by_epoch=False)[0].tolist() == [10, 20]


def test_validations_counted_in_iterations(tmp_path):
    rows = two_epochs(20.0)
    rows[2]['step'], rows[-1]['step'] = 10, 20
    log = read_training_log(write_log(tmp_path / 'a', rows))
    assert log.values('market1501/mAP')[0].tolist() == [1, 2]
    without = [{key: value for key, value in row.items() if key != 'epoch'} for row in rows]
    log = read_training_log(write_log(tmp_path / 'b', without))
    assert log.epoch_length is None
    assert log.values('market1501/mAP')[0].tolist() == [10, 20] and log.values('loss')[0].tolist() == [5, 10, 15, 20]


def test_keys_with_and_without_data_set(tmp_path):
    log = read_training_log(write_log(tmp_path / 'run', two_epochs(20.0)))
    assert log.find('mAP') == ['market1501/mAP', 'market1501+rerank/mAP']
    assert log.find('market1501/mAP') == ['market1501/mAP'] and log.find('loss') == ['loss']
    with pytest.raises(ValueError, match="'mINP'; .*loss, data_time, time, mAP, Rank-1"):
        log.find('mINP')


def test_a_killed_run_loses_its_last_line_only(tmp_path):
    file = write_log(tmp_path / 'run', two_epochs(20.0), end='{"loss": 0.5, "da')
    log = read_training_log(tmp_path / 'run')
    assert list(log.train) == [5, 10, 15, 20] and len(log.notes) == 1 and 'last line is broken' in log.notes[0]
    file.write_bytes(file.read_bytes().split(b'{"loss": 0.5')[0] + b'\0' * 4096)
    assert not read_training_log(file).notes
    file.write_text('{"loss": 0.5, "da\n' + json.dumps(train_row(1, 5, 1.0)))
    with pytest.raises(ValueError, match='line 1 .*JSON'):
        read_training_log(file)


def test_what_a_resumed_run_did_again_counts(tmp_path):
    write_log(tmp_path / 'run', [*two_epochs(20.0), train_row(3, 25, 9.0)])
    write_log(tmp_path / 'run', [train_row(2, 15, 7.0), train_row(2, 20, 6.0), val_row(2, 50.0)], '20260102_000000')
    log = read_training_log(tmp_path / 'run')
    assert log.values('loss', by_epoch=False)[1].tolist() == [4, 3, 7, 6]
    assert log.values('market1501/mAP')[1].tolist() == [30, 50]
    assert 'begins again at iteration 15' in log.notes[0]
    # Killed again before the next validation: the old one of that epoch is void.
    write_log(tmp_path / 'run', [train_row(2, 15, 8.0)], '20260103_000000')
    assert read_training_log(tmp_path / 'run').values('market1501/mAP')[1].tolist() == [30]


def test_what_hooks_log_joins_the_validation(tmp_path):
    rows = [*two_epochs(20.0), {'arch/entropy': 0.5, 'step': 2}]
    log = read_training_log(write_log(tmp_path / 'run', rows))
    assert log.values('arch/entropy')[1].tolist() == [0.5] and log.values('market1501/mAP')[1].tolist() == [30, 20]


def test_times(tmp_path):
    log = read_training_log(write_log(tmp_path / 'run', [*two_epochs(1.0), train_row(3, 25, 1.0, 0.8, memory=700)]))
    found = train_time(log)
    assert found.of_epochs == {1: 0.2, 2: 0.4, 3: 0.8} and (found.iterations, found.epochs) == (25, 3)
    assert found.per_iteration == pytest.approx(1.4 / 3) and found.data_fraction == pytest.approx(0.25)
    assert found.memory == 700
    assert train_time(log, include_outliers=True).of_epochs[2] == pytest.approx(0.5)


def test_mean_over_shared_positions():
    curves = [Curve('a', np.arange(n, dtype=float), np.full(n, value)) for n, value in ((4, 1.0), (3, 3.0))]
    mean = mean_curve('m', curves)
    assert mean.x.tolist() == [0, 1, 2] and mean.y.tolist() == [2] * 3
    assert mean.spread.tolist() == pytest.approx([2**0.5] * 3)
    with pytest.raises(ValueError, match=' runs of m '):
        mean_curve('m', [curves[0], Curve('c', np.array([9.0]), np.array([1.0]))])


def test_names_tell_runs_apart():
    assert unique_names(['w/seed0/GS', 'w/seed1/GS']) == ['seed0/GS', 'seed1/GS']
    assert unique_names(['w/a', 'w/b/20260101/vis_data/scalars.json']) == ['a', '20260101']


@pytest.fixture
def seeds(tmp_path):
    for number, last in enumerate((20.0, 40.0)):
        write_log(tmp_path / f'seed{number}' / 'GS', two_epochs(last))
    return [str(tmp_path / f'seed{number}' / 'GS') for number in range(2)]


@pytest.mark.parametrize(('suffix', 'begin'), [('png', b'\x89PNG'), ('pdf', b'%PDF'), ('svg', b'<?xml')])
def test_plots_several_runs(seeds, tmp_path, suffix, begin, capsys):
    out = tmp_path / f'curves.{suffix}'
    TOOL.main(['plot_curve', *seeds, '--keys', 'loss', 'mAP', '--out', str(out), '--window-size', '4*3'])
    assert out.read_bytes().startswith(begin) and '6 curves' in capsys.readouterr().out


def test_curves_by_iteration_if_asked_for_or_if_there_are_no_epochs(seeds, tmp_path, monkeypatch):
    rows = [{key: value for key, value in row.items() if key != 'epoch'} for row in two_epochs(20.0)]
    write_log(tmp_path / 'plain', rows)
    drawn = []
    monkeypatch.setattr(TOOL, 'draw_curves', lambda out, curves, unit, *_: drawn.append((unit, curves[0].x.tolist())))
    for words in ([seeds[0]], [seeds[0], '--by', 'iter'], [str(tmp_path / 'plain')]):
        TOOL.main(['plot_curve', *words, '--keys', 'loss', '--out', str(tmp_path / 'a.png')])
    assert drawn == [('epoch', [0.5, 1, 1.5, 2]), *[('iteration', [5, 10, 15, 20])] * 2]


def test_each_unit_has_a_panel(seeds, tmp_path, monkeypatch):
    figures = []
    original = curves.Figure
    monkeypatch.setattr(curves, 'Figure', lambda **kwargs: figures.append(original(**kwargs)) or figures[-1])
    keys = ['mAP', 'loss', 'loss_ce', 'market1501/Rank-1', 'lr']
    units = [curves.unit_of(key) for key in keys]
    assert units == ['%', 'loss', 'loss', '%', 'lr']
    TOOL.main(['plot_curve', *seeds, '--keys', 'loss', 'mAP', '--title', 'T', '--out', str(tmp_path / 'a.png')])
    TOOL.main(['plot_curve', *seeds, '--keys', 'loss', '--mean', '--out', str(tmp_path / 'b.png')])
    two, one = (figure.axes for figure in figures)
    assert [axes.get_ylabel() for axes in two] == ['loss', '%'] and [len(axes.lines) for axes in two] == [2, 4]
    assert [axes.get_title() for axes in two] == ['T', ''] and [axes.get_xlabel() for axes in two] == ['', 'epoch']
    assert len(one) == len(one[0].lines) == 1


def test_curves_of_the_command_line(seeds):
    def curves(*words):
        args = TOOL.parse_args(['plot_curve', *words])
        return TOOL.curves_of(args, TOOL.read_logs(args.runs))

    first, second = curves(*seeds, '--keys', 'market1501/mAP')
    assert (first.label, second.label) == ('seed0/GS market1501/mAP', 'seed1/GS market1501/mAP')
    assert first.color != second.color
    (mean,) = curves(*seeds, '--keys', 'market1501/mAP', '--mean', '--legend', 'GS')
    assert mean.label == 'GS' and mean.y.tolist() == [30, 30] and mean.spread.tolist() == pytest.approx([0, 200**0.5])
    named = curves(f'a={seeds[0]}', f'a={seeds[1]}', f'b={seeds[0]}', '--mean')
    assert [curve.label for curve in named] == ['a loss', 'b loss'] and named[1].spread is None
    with pytest.raises(ValueError, match='--legend .* 1 .* 2 '):
        curves(*seeds, '--legend', 'one')


def test_tables(seeds, capsys):
    TOOL.main(['summary', *seeds, '--mean'])
    shown = capsys.readouterr().out
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in shown.splitlines() if line[0] == '|']
    assert ['seed0/GS', '2', '20', '0.3000', '25 %', '2: 0.4000', '1: 0.2000', '+- 0.1414', '-'] in cells
    assert ['seed0/GS', 'market1501/mAP', '20', '2', '30', '1'] in cells
    assert ['mean of 2 runs', 'market1501/mAP', '30 +- 14', '35 +- 7.1', '2'] in cells
    TOOL.main(['summary', seeds[0], '--keys', 'loss'])
    assert '| loss   | 1    | 2  | 1    | 2  |' in capsys.readouterr().out
    TOOL.main(['cal_train_time', seeds[0], '--include-outliers'])
    assert '| 0.3500   |' in capsys.readouterr().out


def test_what_is_no_log_is_refused(seeds, tmp_path):
    with pytest.raises(ValueError, match='seed0 .*seed0/GS'):
        read_training_log(tmp_path / 'seed0')
    with pytest.raises(ValueError, match='nowhere'):
        read_training_log(tmp_path / 'nowhere')
    empty = tmp_path / 'empty.json'
    empty.write_text('')
    with pytest.raises(ValueError, match=f'{empty} .*stopped'):
        read_training_log(empty)
    empty.write_text('{"market1501/mAP": 3.0}')
    with pytest.raises(ValueError, match=f'{empty} .*line 1 .*step'):
        read_training_log(empty)
    with pytest.raises(SystemExit):
        TOOL.main(['plot_curve', seeds[0], '--out', 'curves.json'])
