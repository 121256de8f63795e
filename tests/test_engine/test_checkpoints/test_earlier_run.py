# Copyright (c) mmreid contributors. All rights reserved.
"""A run that starts in the folder of an earlier one."""

import os
import re
from pathlib import Path

import pytest
import torch

from mmreid.engine.checkpoints.checkpoint_names import is_checkpoint_of
from mmreid.engine.checkpoints.earlier_run import set_aside_earlier_run
from mmreid.engine.checkpoints.run_files import replaced_best_files
from mmreid.utils.checkpoint import find_resumable_checkpoint, load_checkpoint_file

SAFE = dict(type='SafeCheckpointHook', interval=1, save_best='a', rule='greater', max_keep_ckpts=2)
SCORES = [dict(a=score) for score in (1.0, 3.0, 2.0, 0.0)]


def tree(folder):
    paths = [path.relative_to(folder).as_posix() for path in Path(folder).rglob('*') if path.is_file()]
    return sorted(path for path in paths if path.endswith(('.pth', 'last_checkpoint')))


def test_its_checkpoints_are_kept_apart(make_runner, work_dir, read_log):
    make_runner(epochs=4, scores=SCORES, checkpoint=SAFE).train()
    old = tree(work_dir)
    assert old == ['best_a_epoch_2.pth', 'epoch_3.pth', 'epoch_4.pth', 'last_checkpoint']
    content = {name: Path(work_dir, name).read_bytes() for name in old}
    Path(work_dir, 'mine.pth').write_bytes(b'of the user')

    make_runner(epochs=1, scores=SCORES, checkpoint=SAFE).train()
    (kept,) = Path(work_dir, 'earlier').iterdir()
    assert re.fullmatch(r'\d{8}_\d{6}', kept.name)
    assert {name: (kept / name).read_bytes() for name in os.listdir(kept)} == content
    assert sorted(name for name in os.listdir(work_dir) if 'epoch' in name) == ['best_a_epoch_1.pth', 'epoch_1.pth']
    assert find_resumable_checkpoint(work_dir) == f'{work_dir}/epoch_1.pth'
    assert Path(work_dir, 'mine.pth').is_file()
    assert f'{", ".join(old)}); this run does not go on from them, so they were moved to {kept}' in read_log()

    make_runner(epochs=2, scores=SCORES, checkpoint=SAFE, resume=True).train()
    assert os.listdir(Path(work_dir, 'earlier')) == [kept.name], 'a resumed run moves nothing'
    assert Path(work_dir, 'epoch_2.pth').is_file()


def test_out_dir_and_own_names(make_runner, work_dir, tmp_path):
    checkpoint = dict(type='SafeCheckpointHook', interval=1, out_dir=str(tmp_path / 'out'), filename_tmpl='at_{}.pth')
    for _ in range(3):
        make_runner(epochs=1, checkpoint=checkpoint).train()
    folder = next(Path(tmp_path, 'out').iterdir())
    assert (folder / 'at_1.pth').is_file() and len(list(folder.glob('earlier/*/at_1.pth'))) == 2
    assert len(list(Path(work_dir).glob('earlier/*/last_checkpoint'))) == 2


def test_it_may_begin_with_weights_of_the_earlier_run(make_runner, work_dir):
    checkpoint = dict(type='SafeCheckpointHook', interval=1)
    make_runner(epochs=1, checkpoint=checkpoint).train()
    first = load_checkpoint_file(f'{work_dir}/epoch_1.pth')['state_dict']
    seen = []
    runner = make_runner(epochs=1, checkpoint=checkpoint, load_from=f'{work_dir}/epoch_1.pth')
    load = runner.load_checkpoint
    runner.load_checkpoint = lambda *args, **kwargs: seen.append(load(*args, **kwargs)['state_dict'])
    runner.train()
    assert len(seen) == 1 and all((seen[0][name] == value).all() for name, value in first.items())
    assert len(list(Path(work_dir).glob('earlier/*/epoch_1.pth'))) == 1


def test_it_is_set_aside_as_well_when_the_run_goes_on_from_another_folder(make_runner, work_dir, tmp_path):
    checkpoint = dict(type='SafeCheckpointHook', interval=1)
    other = str(tmp_path / 'other')
    make_runner(epochs=1, checkpoint=checkpoint, work_dir=other).train()
    make_runner(epochs=3, checkpoint=checkpoint).train()
    make_runner(epochs=2, checkpoint=checkpoint, resume=True, load_from=f'{other}/epoch_1.pth').train()
    assert sorted(name for name in os.listdir(work_dir) if 'epoch' in name) == ['epoch_2.pth']
    assert len(list(Path(work_dir).glob('earlier/*/epoch_*.pth'))) == 3 and len(tree(other)) == 2


def test_both_folders_are_set_aside_when_the_run_goes_on_from_a_third(make_runner, work_dir, tmp_path):
    checkpoint = dict(type='SafeCheckpointHook', interval=1, out_dir=str(tmp_path / 'out'))
    other = str(tmp_path / 'other')
    make_runner(epochs=1, checkpoint=dict(type='SafeCheckpointHook', interval=1), work_dir=other).train()
    make_runner(epochs=3, checkpoint=checkpoint).train()
    make_runner(epochs=2, checkpoint=checkpoint, resume=True, load_from=f'{other}/epoch_1.pth').train()
    folder = next(Path(tmp_path, 'out').iterdir())
    assert sorted(path.name for path in folder.glob('*.pth')) == ['epoch_2.pth']
    assert len(list(folder.glob('earlier/*/epoch_*.pth'))) == 3
    assert len(list(Path(work_dir).glob('earlier/*/last_checkpoint'))) == 1 and len(tree(other)) == 2


def test_an_out_dir_of_another_run_is_set_aside_though_the_work_dir_goes_on(make_runner, work_dir, tmp_path):
    plain, out_dir = dict(type='SafeCheckpointHook', interval=1), str(tmp_path / 'out')
    make_runner(epochs=1, checkpoint=plain).train()
    folder = tmp_path / 'out' / os.path.basename(work_dir)
    folder.mkdir(parents=True)
    (folder / 'epoch_2.pth').write_bytes(b'of another run')
    resumed = dict(resume=True, load_from=f'{work_dir}/epoch_1.pth')
    make_runner(epochs=2, checkpoint=dict(plain, out_dir=out_dir), **resumed).train()
    assert [path.read_bytes() for path in folder.glob('earlier/*/epoch_2.pth')] == [b'of another run']
    assert Path(work_dir, 'epoch_1.pth').is_file() and not Path(work_dir, 'earlier').exists()


def test_the_pointer_to_what_the_run_goes_on_from_stays(make_runner, work_dir, tmp_path, monkeypatch):
    """When a killed run continues with another out_dir, and is killed again before it saves."""
    hook = dict(type='SafeCheckpointHook', interval=1, out_dir=str(tmp_path / 'first'))
    make_runner(epochs=1, checkpoint=hook).train()
    saved = find_resumable_checkpoint(work_dir)
    runner = make_runner(
        epochs=2, checkpoint=dict(hook, out_dir=str(tmp_path / 'second')), resume=True, load_from=saved
    )
    monkeypatch.setattr(runner, 'save_checkpoint', lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        runner.train()
    assert saved and find_resumable_checkpoint(work_dir) == saved


def test_parts_of_a_memory_go_with_their_checkpoint_and_before_it(make_runner, work_dir, monkeypatch):
    for name in ('epoch_1.pth', 'epoch_1.memory-0of2.pth', 'last_checkpoint'):
        Path(work_dir, name).touch()
    moved, rename = [], os.rename
    monkeypatch.setattr(os, 'rename', lambda a, b: (moved.append(os.path.basename(a)), rename(a, b)))
    runner = make_runner(epochs=1)
    set_aside_earlier_run(runner, [work_dir, f'{work_dir}/absent'], 'epoch_{}.pth')
    assert moved[:-1] == ['epoch_1.memory-0of2.pth', 'epoch_1.pth', 'last_checkpoint']
    assert moved[-1].endswith('.moving'), 'the folder, when it has all of them'


@pytest.mark.parametrize('killed_at', range(8))
def test_a_killed_move_is_finished_in_the_same_folder(make_runner, work_dir, monkeypatch, killed_at):
    shards = [f'epoch_{epoch}.memory-{rank}of2.pth' for epoch in (1, 2) for rank in (0, 1)]
    names = sorted([*shards, 'epoch_1.pth', 'epoch_2.pth', 'last_checkpoint'])
    for second, name in enumerate(names):
        Path(work_dir, name).touch()
        os.utime(Path(work_dir, name), (10**9 + second, 10**9 + second))
    runner, rename, count = make_runner(epochs=1), os.rename, iter(range(100))

    def dying(source, target):
        if next(count) == killed_at:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, 'rename', dying)
    with pytest.raises(KeyboardInterrupt):
        set_aside_earlier_run(runner, [work_dir], 'epoch_{}.pth')
    assert not list(Path(work_dir).glob('earlier/[0-9]*')), 'no part of them looks like all'
    set_aside_earlier_run(runner, [work_dir], 'epoch_{}.pth')
    (kept,) = Path(work_dir, 'earlier').iterdir()
    assert sorted(os.listdir(kept)) == names and kept.name.startswith('200109')


def test_what_a_killed_move_left_is_not_mixed_with_the_next_run(make_runner, work_dir):
    moving = Path(work_dir, 'earlier/.20260101_000000.moving')
    moving.mkdir(parents=True)
    (moving / 'epoch_1.pth').write_bytes(b'first')
    Path(work_dir, 'epoch_1.pth').write_bytes(b'second')
    set_aside_earlier_run(make_runner(epochs=1), [work_dir], 'epoch_{}.pth')
    assert (moving.parent / '20260101_000000/epoch_1.pth').read_bytes() == b'first'
    assert sorted(path.read_bytes() for path in moving.parent.glob('*/epoch_1.pth')) == [b'first', b'second']


@pytest.mark.parametrize(
    ('template', 'own', 'foreign'),
    [
        ('at_{:03d}.pth', ['at_007.pth', 'at_007.memory-1of2.pth', 'at_1000.pth'], ['at_best.pth', 'at_007.txt']),
        ('a[1]_{}.pth', ['a[1]_2.pth'], ['a1_2.pth']),
        ('{}.pth', ['12.pth', '12.memory-0of2.pth'], ['mine.pth']),
        ('{0:4d}.pt', ['  12.pt', '  12.memory-0of2.pth'], ['12.pth']),
    ],
)
def test_names_of_any_template_are_recognized(template, own, foreign):
    assert [name for name in [*own, *foreign] if is_checkpoint_of(name, template)] == own


def test_run_files_of_a_padded_template(tmp_path):
    for name in ('best_a_b_at_002.pth', 'best_a_b_at_010.pth', 'best_c_at_001.pth'):
        torch.save(dict(meta=dict(run_id='run')), tmp_path / name)
    best = str(tmp_path / 'best_a_b_at_010.pth')
    assert replaced_best_files(best, 'a/b', 'at_{:03d}.pth', 'run') == [str(tmp_path / 'best_a_b_at_002.pth')]
