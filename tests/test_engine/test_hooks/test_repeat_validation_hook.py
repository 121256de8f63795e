# Copyright (c) mmreid contributors. All rights reserved.
"""A run that was killed before its validation ended, and its files."""

import pytest
import torch
from test_tools.test_resume import assert_same
from tiny_config import tiny_config
from tiny_data import write_market

from mmreid.engine import SafeCheckpointHook
from mmreid.engine.runners import ReIDRunner
from mmreid.utils.checkpoint import load_checkpoint_file
from mmreid.utils.current_run import read_current_run

SCORE = 'market1501/mAP'


class Killed(Exception):
    """Simulates the end of the process."""


@pytest.fixture(scope='module')
def market(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp('market'))


def build(market, work_dir, **options):
    cfg = tiny_config('baseline/bot_resnet50_1xb64-120e_market1501-256x128.py', market, work_dir)
    cfg.train_dataloader.sampler.batches_per_epoch = 2
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='OverwritingEMAHook', momentum=0.3, update_buffers=True)]
    checkpoint = dict(interval=1, max_keep_ckpts=5, save_best=SCORE, rule='greater')
    cfg.merge_from_dict(dict(train_cfg=dict(max_epochs=3, val_interval=1), default_hooks=dict(checkpoint=checkpoint)))
    cfg.merge_from_dict(options)
    return ReIDRunner.from_cfg(cfg)


def scripted(runner, scores):
    """Makes validations return these scores, in order; None kills the run during the validation."""
    scores, original = iter(scores), runner.val_loop._evaluate_all
    validated = []

    def evaluate():
        original()
        score = next(scores)
        validated.append(runner.epoch)
        if score is None:
            raise Killed
        return {SCORE: score}

    runner.val_loop._evaluate_all = evaluate
    return validated


def final(folder):
    return torch.load(folder / 'epoch_3.pth', weights_only=True)


def test_a_validation_that_was_killed_is_run_again(market, tmp_path):
    whole = build(market, tmp_path / 'whole')
    scripted(whole, [50.0, 80.0, 70.0])
    whole.train()

    killed = build(market, tmp_path / 'parts')
    scripted(killed, [50.0, None])
    with pytest.raises(Killed):
        killed.train()
    assert not list((tmp_path / 'parts').glob('best*epoch_2.pth'))
    resumed = build(market, tmp_path / 'parts', resume=True)
    assert scripted(resumed, [80.0, 70.0]) == [] and resumed.train()
    assert_same(final(tmp_path / 'parts'), final(tmp_path / 'whole'))
    (best,) = (tmp_path / 'parts').glob('best*')
    assert best.name == 'best_market1501_mAP_epoch_2.pth'
    assert_same(*(torch.load(folder / best.name, weights_only=True) for folder in (best.parent, tmp_path / 'whole')))
    assert resumed.message_hub.get_info('best_score') == 80.0


def test_a_validation_that_was_finished_is_not_repeated_where_its_best_score_was_saved(market, tmp_path):
    killed = build(market, tmp_path)
    scripted(killed, [50.0, 80.0, None])
    with pytest.raises(Killed):
        killed.train()
    assert load_checkpoint_file(tmp_path / 'epoch_2.pth')['meta']['validated'] is True
    assert load_checkpoint_file(tmp_path / 'epoch_3.pth')['meta']['validated'] is False
    (tmp_path / 'epoch_3.pth').unlink()
    resumed = build(market, tmp_path, resume=True)
    validated = scripted(resumed, [70.0])
    resumed.train()
    assert validated == [3] and resumed.message_hub.get_info('best_score') == 80.0


def test_a_finished_run_is_left_as_it_is(market, tmp_path):
    first = build(market, tmp_path)
    scripted(first, [50.0, 80.0, 70.0])
    first.train()
    run = read_current_run(tmp_path)
    assert run.finished and load_checkpoint_file(tmp_path / 'epoch_3.pth')['meta']['run_id'] == run.id
    again = build(market, tmp_path, resume=True)
    validated = scripted(again, [])
    again.train()
    assert validated == [] and read_current_run(tmp_path) == run

    further = build(market, tmp_path, resume=True, **{'train_cfg.max_epochs': 4})
    validated = scripted(further, [70.0, 60.0])
    further.train()
    assert validated == [3, 4], 'what it saved last does not know of its last validation'


@pytest.mark.long
def test_going_back_is_another_run_that_leaves_later_epochs_alone(market, tmp_path):
    first = build(market, tmp_path)
    scripted(first, [50.0, 80.0, 70.0])
    first.train()
    back = str(tmp_path / 'epoch_1.pth')
    killed = build(market, tmp_path, resume=True, load_from=back)
    scripted(killed, [50.0, None])  # the best of epoch 1 is gone, so it is validated again; epoch 2 is killed
    with pytest.raises(Killed):
        killed.train()
    run = read_current_run(tmp_path)
    assert run.began_from == back and run.id != first.current_run.id
    resumed = build(market, tmp_path, resume=True)
    validated = scripted(resumed, [60.0, 40.0])
    resumed.train()
    assert validated == [2, 3], 'not from epoch 3 of the run before'
    assert read_current_run(tmp_path).id == run.id
    # Everything after that point belongs to another run, above all its best checkpoint.
    (earlier,) = (tmp_path / 'earlier').iterdir()
    moved = {path.name for path in earlier.glob('*.pth')}
    assert moved == {'best_market1501_mAP_epoch_2.pth', 'epoch_2.pth', 'epoch_3.pth'}
    here = {path.name: load_checkpoint_file(path)['meta']['run_id'] for path in tmp_path.glob('*.pth')}
    assert here['best_market1501_mAP_epoch_2.pth'] == here['epoch_3.pth'] == run.id


@pytest.mark.long
def test_a_best_file_that_was_replaced_but_not_removed_goes_with_the_next_start(market, tmp_path, monkeypatch):
    killed = build(market, tmp_path)
    scripted(killed, [50.0, 80.0, 70.0])

    def die(*_):
        raise Killed

    checkpoint_hook = next(hook for hook in killed.hooks if isinstance(hook, SafeCheckpointHook))
    monkeypatch.setattr(checkpoint_hook, '_remove', die)
    with pytest.raises(Killed):
        killed.train()
    (tmp_path / 'best_market1501_mAP_epoch_9.pth').write_bytes(b'of somebody else')
    assert len(list(tmp_path.glob('best*'))) == 3
    resumed = build(market, tmp_path, resume=True)
    scripted(resumed, [70.0])
    resumed.train()
    names = ['best_market1501_mAP_epoch_2.pth', 'best_market1501_mAP_epoch_9.pth']
    assert sorted(path.name for path in tmp_path.glob('best*')) == names


@pytest.mark.long
def test_a_checkpoint_lists_no_files_of_other_runs(market, tmp_path):
    """The list names the checkpoints to remove when there are more than `max_keep_ckpts`."""
    first = build(market, tmp_path)
    scripted(first, [50.0, 80.0, 70.0])
    first.train()
    content = load_checkpoint_file(tmp_path / 'epoch_2.pth')
    content['meta']['run_id'] = 'foreign'
    content['message_hub']['runtime_info']['keep_ckpt_ids'] = [1, 2, 3, 7, 8, 9, 10, 11]
    torch.save(content, tmp_path / 'foreign.pth')
    second = build(market, tmp_path, resume=True, load_from=str(tmp_path / 'foreign.pth'))
    scripted(second, [None])
    with pytest.raises(Killed):
        second.train()
    assert {'epoch_1.pth', 'epoch_2.pth'} <= {path.name for path in tmp_path.rglob('epoch_*.pth')}


@pytest.mark.parametrize('score', [float('nan'), 10**400, 'high'], ids=['nan', 'huge', 'text'])
def test_a_best_score_that_nothing_can_beat_is_forgotten(market, tmp_path, score):
    first = build(market, tmp_path, train_cfg=dict(max_epochs=1))
    scripted(first, [50.0])
    first.train()
    content = load_checkpoint_file(tmp_path / 'epoch_1.pth')
    content['message_hub']['runtime_info']['best_score'] = score
    torch.save(content, tmp_path / 'epoch_1.pth')
    second = build(market, tmp_path, resume=True, train_cfg=dict(max_epochs=2))
    scripted(second, [20.0])
    second.train()
    assert second.message_hub.get_info('best_score') == 20.0


def test_another_folder_gets_a_best_checkpoint_of_its_own(market, tmp_path):
    first = build(market, tmp_path / 'a', train_cfg=dict(max_epochs=2))
    scripted(first, [50.0, 80.0])
    first.train()
    second = build(market, tmp_path / 'b', resume=True, load_from=str(tmp_path / 'a/epoch_2.pth'))
    validated = scripted(second, [80.0, 70.0])
    second.train()
    assert validated == [2, 3] and [path.name for path in (tmp_path / 'b').glob('best*')] == [
        'best_market1501_mAP_epoch_2.pth'
    ]
    assert (tmp_path / 'a/best_market1501_mAP_epoch_2.pth').is_file()
