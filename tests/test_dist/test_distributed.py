# Copyright (c) mmreid contributors. All rights reserved.
"""Two and three gloo processes against one."""

import json
import re

import pytest
import torch
from test_dist.rank_work import everything
from test_tools.tool_runs import run, write_config
from tiny_data import repaint, write_market
from warm_processes import run_ranks, run_warm

pytestmark = [pytest.mark.dist, pytest.mark.slow]


@pytest.fixture(scope='module', params=[2, 3])
def ranks(request, tmp_path_factory):
    out = tmp_path_factory.mktemp('ranks') / 'out.pth'
    run_ranks(request.param, 'tests/test_dist/rank_work.py', out)
    return request.param, torch.load(out, weights_only=True)


@pytest.fixture(scope='module')
def one():
    return everything()


def test_one_training_step_is_equal(ranks, one):
    assert ranks[1]['replicas_equal']
    for name, value in one['weights'].items():
        torch.testing.assert_close(ranks[1]['weights'][name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_steps_with_gradients_clipped_apart_are_equal(ranks, one):
    for name, value in one['joint'].items():
        torch.testing.assert_close(ranks[1]['joint'][name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_mining_over_ranks_has_the_gradient_of_the_whole_batch(ranks, one):
    torch.testing.assert_close(ranks[1]['gradient'], one['gradient'], rtol=1e-5, atol=1e-6)


def test_metrics_are_equal(ranks, one):
    assert ranks[1]['metrics'] == pytest.approx(one['metrics'], abs=1e-6)


def test_a_failure_on_rank_0_reaches_every_rank(ranks):
    assert len(ranks[1]['failures']) == ranks[0]
    assert all(re.search("'reid' .*2 images .* 1 ", text) for text in ranks[1]['failures'])


def test_ranks_average_channels_last_gradients_as_others(tmp_path):
    data = write_market(tmp_path / 'data')
    trained = []
    for layout in (False, True):
        work_dir = tmp_path / f'run{layout}'
        changes = dict(train_cfg=dict(max_epochs=1, val_interval=2), train_dataloader=dict(num_workers=0))
        # With fewer channels torch 2.15 overwrites memory, see docs/en/user_guides/speed.md.
        wide = dict(backbone=dict(base_channels=16), neck=dict(in_channels=128), head=dict(in_channels=128))
        config = write_config(tmp_path / f'{layout}.py', data, work_dir, model=wide, channels_last=layout, **changes)
        run_ranks(2, 'tools/train.py', config, '--launcher', 'pytorch')
        trained.append(torch.load(work_dir / 'epoch_1.pth', weights_only=True)['state_dict'])
    for name, value in trained[0].items():
        torch.testing.assert_close(trained[1][name], value, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.long
def test_dist_train_and_dist_test(tmp_path):
    """The whole way on two CPU processes, and its checkpoint on one: the same metrics."""
    data = write_market(tmp_path / 'data', num_train=8, num_test=5)
    for path in (data / 'query').iterdir():  # harder than one color per identity
        path.write_bytes((data / 'bounding_box_train/0002_c1s1_000002_00.jpg').read_bytes())
    changes = dict(train_cfg=dict(max_epochs=1, val_interval=1), train_dataloader=dict(num_workers=0))
    config = write_config(tmp_path / 'cfg.py', data, tmp_path / 'run', **changes)
    log = run('tools/dist_train.sh', config, 2).stdout
    assert '2 processes on' in log and 'data set' in log
    out = {number: tmp_path / f'{number}.json' for number in (1, 2)}
    run_warm('tools/test.py', config, tmp_path / 'run/epoch_1.pth', '--out', out[1])
    run('tools/dist_test.sh', config, tmp_path / 'run/epoch_1.pth', 2, '--out', out[2])
    single, double = (json.loads(out[number].read_text()) for number in (1, 2))
    assert 0 < single['market1501/mAP'] < 100
    assert double == pytest.approx(single, abs=1e-6)
    scalars = next((tmp_path / 'run').rglob('scalars.json')).read_text().splitlines()
    trained = [json.loads(line) for line in scalars if 'market1501/mAP' in line]
    assert trained[-1]['market1501/mAP'] == pytest.approx(single['market1501/mAP'], abs=1e-4)


def test_ranks_test_averaged_weights_as_one_process(tmp_path):
    """Trained by two ranks, tested by two and by one, and resumed by two."""
    work_dir = tmp_path / 'run'
    average = dict(type='EMAHook', momentum=0.3, update_buffers=True)
    config = write_config(
        tmp_path / 'config.py',
        repaint(write_market(tmp_path / 'data')),
        work_dir,
        train_cfg=dict(max_epochs=1, val_interval=1),
        train_dataloader=dict(num_workers=0),
        custom_hooks=[dict(type='EpochSeedHook'), dict(type='SyncNormHook'), average],
    )
    run_ranks(2, 'tools/train.py', config, '--launcher', 'pytorch')
    checkpoint = work_dir / 'epoch_1.pth'
    run_ranks(2, 'tools/test.py', config, checkpoint, '--out', tmp_path / 'two.json', '--launcher', 'pytorch')
    run_warm('tools/test.py', config, checkpoint, '--out', tmp_path / 'one.json')
    two, one = (json.loads((tmp_path / f'{name}.json').read_text()) for name in ('two', 'one'))
    assert two == pytest.approx(one, abs=1e-6) and 0 < one['market1501/mAP'] < 100
    log = run_ranks(2, 'tools/train.py', config, '--resume', '--launcher', 'pytorch').stdout
    assert 'trained to epoch 1 of 1, so there is nothing to do' in log and 'Epoch(val)' not in log
