# Copyright (c) mmreid contributors. All rights reserved.
"""A run that begins anew in the folder of an earlier one."""

import os
import re
from pathlib import Path

from mmreid.engine.hooks.earlier_run import set_aside_earlier_run
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


def test_parts_of_a_memory_go_with_their_checkpoint_and_before_it(make_runner, work_dir, monkeypatch):
    for name in ('epoch_1.pth', 'epoch_1.memory-0of2.pth', 'last_checkpoint'):
        Path(work_dir, name).touch()
    moved, rename = [], os.rename
    monkeypatch.setattr(os, 'rename', lambda a, b: (moved.append(os.path.basename(a)), rename(a, b)))
    runner = make_runner(epochs=1)
    set_aside_earlier_run(runner, [work_dir, f'{work_dir}/absent'], 'epoch_{}.pth')
    assert moved == ['epoch_1.memory-0of2.pth', 'epoch_1.pth', 'last_checkpoint']
