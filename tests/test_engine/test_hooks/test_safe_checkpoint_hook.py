# Copyright (c) mmreid contributors. All rights reserved.
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.hooks import CheckpointHook

from mmreid.engine import SafeCheckpointHook
from mmreid.utils import atomic_io
from mmreid.utils.atomic_io import TMP_SUFFIX
from mmreid.utils.checkpoint import find_resumable_checkpoint, load_checkpoint_file

SAFE = dict(type='SafeCheckpointHook', interval=1)


def files(folder: str) -> list[str]:
    """Lists the checkpoints and temporary files of a folder, sorted."""
    return sorted(name for name in os.listdir(folder) if name.endswith(('.pth', '.tmp')))


def in_child(action: Callable[[], None]) -> int:
    """Runs an action in a forked process, which need not import torch again; returns its wait status, 0 for success."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def kill_me(*args, **kwargs) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_while_writing(after_saves: int) -> None:
    """Arranges a kill with half of a checkpoint on the disk, after some complete ones."""
    saves = []

    class HalfFile:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *args):
            self.file.close()

        def write(self, data):
            self.file.write(data[: len(data) // 2])
            self.file.flush()
            kill_me()

    def opening(path, mode):
        if '.pth' in path:
            saves.append(path)
            if len(saves) > after_saves:
                return HalfFile(open(path, mode))
        return open(path, mode)

    atomic_io.open = opening


def kill_before_rename(after_saves: int) -> None:
    """Arranges a kill when a checkpoint is complete under its temporary name."""
    replace, saves = os.replace, []

    def replacing(source, target):
        if target.endswith('.pth'):
            saves.append(target)
            if len(saves) > after_saves:
                kill_me()
        replace(source, target)

    os.replace = replacing


def kill_after_rename(after_saves: int) -> None:
    """Arranges a kill when a checkpoint is in place and ``last_checkpoint`` still names the previous one."""
    replace, saves = os.replace, []

    def replacing(source, target):
        if target.endswith('last_checkpoint'):
            saves.append(target)
            if len(saves) > after_saves:
                kill_me()
        replace(source, target)

    os.replace = replacing


def kill_before_prune(after_saves: int) -> None:
    """Arranges a kill when everything is written and the first old checkpoint would be removed."""
    SafeCheckpointHook._remove = kill_me


@pytest.mark.parametrize(
    ('fault', 'left', 'pointer', 'resume_from'),
    [
        (kill_while_writing, ['epoch_1.pth', 'epoch_2.pth', 'TMP'], 'epoch_2.pth', 'epoch_2.pth'),
        (kill_before_rename, ['epoch_1.pth', 'epoch_2.pth', 'TMP'], 'epoch_2.pth', 'epoch_2.pth'),
        (kill_after_rename, ['epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth'], 'epoch_2.pth', 'epoch_3.pth'),
        (kill_before_prune, ['epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth'], 'epoch_3.pth', 'epoch_3.pth'),
    ],
)
def test_a_kill_never_costs_the_last_checkpoint(make_runner, work_dir, read_log, fault, left, pointer, resume_from):
    checkpoint = dict(SAFE, max_keep_ckpts=2)

    def killed_run():
        fault(2)
        make_runner(epochs=4, checkpoint=checkpoint).train()

    status = in_child(killed_run)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    pth = [name for name in files(work_dir) if name.endswith('.pth')]
    assert pth == [name for name in left if name != 'TMP']
    for name in pth:
        assert 'optimizer' in load_checkpoint_file(f'{work_dir}/{name}')
    assert any(name.endswith(TMP_SUFFIX) for name in os.listdir(work_dir)) == (
        'TMP' in left or fault is kill_after_rename
    )
    assert Path(work_dir, 'last_checkpoint').read_text() == f'{work_dir}/{pointer}'
    found = find_resumable_checkpoint(work_dir)
    assert found == f'{work_dir}/{resume_from}'

    # The next run continues, cleans up after the killed one and finishes its pruning.
    resumed = make_runner(epochs=4, checkpoint=checkpoint, resume=True, load_from=found)
    resumed.train()
    assert resumed.epoch == 4
    assert files(work_dir) == ['epoch_3.pth', 'epoch_4.pth']
    assert resumed.message_hub.get_info('keep_ckpt_ids') == [3, 4]
    assert not [name for name in os.listdir(work_dir) if name.endswith('.tmp')]
    if 'TMP' in left:
        assert 'epoch_3.pth.' in read_log() and 'the unfinished file of a run that was stopped' in read_log()


def test_mmengine_loses_it(make_runner, work_dir):
    """The same kill with MMEngine's hook and max_keep_ckpts=1 leaves nothing; this shows that the faults work."""

    def killed_run():
        from mmengine.fileio import LocalBackend

        put = LocalBackend.put
        LocalBackend.put = lambda self, obj, path: kill_me() if 'epoch_2' in path else put(self, obj, path)
        make_runner(checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1)).train()

    assert os.WIFSIGNALED(in_child(killed_run))
    assert files(work_dir) == []


def test_order_of_operations(make_runner, work_dir, monkeypatch):
    """Sync, rename, pointer, removal; with max_keep_ckpts=1 two files exist for a moment."""
    events = []
    fsync, replace, remove = os.fsync, os.replace, SafeCheckpointHook._remove

    def removing(self, runner, path):
        events.append(('remove', os.path.basename(path), files(work_dir)))
        remove(self, runner, path)

    monkeypatch.setattr(
        os, 'fsync', lambda fd: (events.append(('fsync', os.path.isdir(f'/proc/self/fd/{fd}'))), fsync(fd))
    )
    monkeypatch.setattr(os, 'replace', lambda a, b: (events.append(('rename', os.path.basename(b))), replace(a, b)))
    monkeypatch.setattr(SafeCheckpointHook, '_remove', removing)
    make_runner(checkpoint=dict(SAFE, max_keep_ckpts=1)).train()

    def save(name):
        return [('fsync', False), ('rename', name), ('fsync', True)]

    pointer = save('last_checkpoint')
    pruned = [('remove', 'epoch_1.pth', ['epoch_1.pth', 'epoch_2.pth'])]
    assert events == save('epoch_1.pth') + pointer + save('epoch_2.pth') + pointer + pruned
    assert files(work_dir) == ['epoch_2.pth']


def test_best_checkpoint_is_replaced_after_the_new_one_is_saved(make_runner, work_dir, monkeypatch):
    moments, remove = [], SafeCheckpointHook._remove

    def removing(self, runner, path):
        saved = load_checkpoint_file(self.last_ckpt)['message_hub']['runtime_info']['best_ckpt']
        moments.append((os.path.basename(path), [name for name in files(work_dir) if 'best' in name], Path(saved).name))
        remove(self, runner, path)

    monkeypatch.setattr(SafeCheckpointHook, '_remove', removing)
    checkpoint = dict(SAFE, save_best='toy/mAP', rule='greater')
    runner = make_runner(epochs=3, scores=[{'toy/mAP': score} for score in (1.0, 3.0, 2.0)], checkpoint=checkpoint)
    runner.train()
    old, new = 'best_toy_mAP_epoch_1.pth', 'best_toy_mAP_epoch_2.pth'
    assert moments == [(old, [old, new], new)]
    assert files(work_dir) == [new, 'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth']
    assert runner.message_hub.get_info('best_score') == 3.0
    assert find_resumable_checkpoint(work_dir) == f'{work_dir}/epoch_3.pth', 'a best file has no optimizer'


OPTIONS = [
    dict(interval=2, max_keep_ckpts=1),
    dict(interval=2, save_last=False),
    dict(interval=1, save_begin=2, filename_tmpl='state_{}.pth'),
    dict(interval=3, by_epoch=False, max_keep_ckpts=2),
    dict(interval=1, save_best='auto', rule='less', max_keep_ckpts=2),
    dict(interval=2, save_best=['a', 'b'], rule=['greater', 'less']),
    dict(interval=1, save_best='a', rule='greater', published_keys=['meta', 'state_dict'], max_keep_ckpts=1),
    dict(interval=1, save_optimizer=False, save_param_scheduler=False),
    dict(interval=-1, save_last=False, save_best='b', rule='less'),
    dict(interval=1, out_dir='OUT'),
]


@pytest.mark.parametrize('options', OPTIONS, ids=[','.join(option) for option in OPTIONS])
def test_does_what_mmengine_does(make_runner, tmp_path, options):
    """Same files, same keys in them, same notes in the message hub, same pointer, also over a resume."""
    scores = [dict(a=a, b=b) for a, b in ((1.0, 5.0), (3.0, 4.0), (2.0, 6.0), (4.0, 7.0))]
    results = []
    for kind in ('CheckpointHook', 'SafeCheckpointHook'):
        root = tmp_path / 'run'
        shutil.rmtree(root, ignore_errors=True)
        checkpoint = {key: str(tmp_path / 'run' / 'out') if value == 'OUT' else value for key, value in options.items()}
        cfg = dict(work_dir=str(root / 'wd'), checkpoint=dict(type=kind, **checkpoint))
        make_runner(epochs=4, scores=scores[:4], **cfg).train()
        found = {}
        for path in sorted(root.rglob('*.pth')):
            content = torch.load(path, weights_only=True)
            name = path.relative_to(root).as_posix()
            # A published file carries a hash of its content, which holds the time.
            found[name.split('-')[0] if '-' in path.name else name] = (sorted(content), content['meta']['epoch'])
        pointer = root / 'wd' / 'last_checkpoint'
        runner = make_runner(epochs=5, scores=[dict(a=9.0, b=1.0)] * 5, resume=True, **cfg)
        runner.train()
        info = {k: v for k, v in runner.message_hub.runtime_info.items() if 'ckpt' in k or 'best' in k}
        files_now = sorted(path.name.split('-')[0] for path in root.rglob('*.pth'))
        results.append((found, info, files_now, pointer.read_text() if pointer.exists() else None))
    assert results[0] == results[1]
    assert results[0][0], 'at least one checkpoint was compared'


def test_full_disk_by_a_real_limit(make_runner, work_dir):
    """RLIMIT_FSIZE makes the kernel refuse the rest of the file. The first checkpoint stays; nothing else is left."""
    message_file = Path(work_dir, 'message')
    checkpoint = dict(SAFE, max_keep_ckpts=1)

    def run():
        runner = make_runner(epochs=2, checkpoint=checkpoint, width=20000)
        save = runner.save_checkpoint

        def limited(*args, **kwargs):
            if runner.epoch == 1:
                resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
            save(*args, **kwargs)

        runner.save_checkpoint = limited
        try:
            runner.train()
        except RuntimeError as error:
            message_file.write_text(str(error))

    assert in_child(run) == 0
    message = message_file.read_text()
    assert f"checkpoint '{work_dir}/epoch_2.pth'" in message and 'EFBIG' in message
    assert f"'{work_dir}/epoch_1.pth'" in message and '--resume' in message
    assert files(work_dir) == ['epoch_1.pth']
    assert load_checkpoint_file(find_resumable_checkpoint(work_dir))['meta']['epoch'] == 1


def test_full_disk_message(make_runner, work_dir, monkeypatch):
    """/dev/full answers every write with the kernel's ENOSPC."""
    if not os.path.exists('/dev/full'):
        pytest.skip('no /dev/full here')
    runner = make_runner(epochs=2, checkpoint=dict(SAFE, save_best='a', rule='greater'), scores=[dict(a=1), dict(a=2)])
    monkeypatch.setattr(
        atomic_io,
        'open',
        lambda path, mode: open('/dev/full' if 'best' in path else path, mode.replace('x', 'w')),
        raising=False,
    )
    with pytest.raises(RuntimeError, match='[0-9]+ MiB .*ENOSPC') as error:
        runner.train()
    message = str(error.value)
    assert f"best checkpoint in '{work_dir}'" in message and 'max_keep_ckpts' in message
    assert f"'{work_dir}/epoch_1.pth'" in message
    assert files(work_dir) == ['epoch_1.pth']


def test_a_folder_that_cannot_be_written_fails_at_once(make_runner, tmp_path):
    (tmp_path / 'file').write_text('not a folder')
    runner = make_runner(checkpoint=dict(SAFE, out_dir=str(tmp_path / 'file')))
    with pytest.raises(RuntimeError, match=f"'{tmp_path}/file/.*(ENOTDIR|EEXIST)"):
        runner.train()
    assert runner.iter == 0, 'before any time was spent on training'


def test_no_permission(make_runner, tmp_path):
    """As another user, since root may write anywhere."""
    if os.geteuid() != 0:
        pytest.skip('needs root to become somebody else')
    message_file = tmp_path / 'message'
    message_file.touch()
    message_file.chmod(0o666)
    handle = message_file.open('w')
    locked = tmp_path / 'locked'
    locked.mkdir(mode=0o555)
    runner = make_runner(checkpoint=dict(SAFE, out_dir=str(locked)))

    def run():
        os.seteuid(65534)
        try:
            runner.train()
        except RuntimeError as error:
            handle.write(str(error))
            handle.flush()

    in_child(run)
    assert 'EACCES' in message_file.read_text()


def test_other_temporaries_are_left_alone(make_runner, work_dir):
    Path(work_dir, 'notes.tmp').write_text('of the user')
    make_runner(checkpoint=SAFE, epochs=1).train()
    assert files(work_dir) == ['epoch_1.pth', 'notes.tmp']


def test_settings_of_other_storages_are_respected():
    assert SafeCheckpointHook(out_dir='s3://bucket/runs').backend_args is None
    assert SafeCheckpointHook(backend_args=dict(backend='petrel')).backend_args == dict(backend='petrel')
    assert SafeCheckpointHook(backend_args=dict(backend='local')).backend_args == dict(backend='mmreid_atomic')
    hook = SafeCheckpointHook()
    assert isinstance(hook, CheckpointHook) and hook.save_best is None and hook.priority == 'VERY_LOW'


def test_other_ranks_write_and_remove_nothing(make_runner, work_dir, monkeypatch):
    monkeypatch.setattr('mmreid.engine.hooks.safe_checkpoint_hook.is_main_process', lambda: False)
    Path(work_dir, f'old{TMP_SUFFIX}').touch()
    runner = make_runner(checkpoint=dict(SAFE, max_keep_ckpts=1))
    monkeypatch.setattr(runner, 'save_checkpoint', lambda *args, **kwargs: None)
    runner.train()
    assert files(work_dir) == [f'old{TMP_SUFFIX}'] and not Path(work_dir, 'last_checkpoint').exists()
    assert runner.message_hub.get_info('keep_ckpt_ids') == [2], 'the notes stay equal on all ranks'


def test_best_files_of_others_are_left_alone(make_runner, tmp_path):
    """Both when a checkpoint of another folder is resumed, and when a hostile file names arbitrary paths."""
    best = dict(SAFE, save_best='a', rule='greater', max_keep_ckpts=1)
    first, second = tmp_path / 'first', tmp_path / 'second'
    make_runner(epochs=2, checkpoint=best, scores=[dict(a=1), dict(a=2)], work_dir=str(first)).train()
    start = first / 'epoch_2.pth'
    options = dict(epochs=4, checkpoint=best, resume=True, load_from=str(start))
    make_runner(scores=[dict(a=3), dict(a=4)], work_dir=str(second), **options).train()
    assert files(str(first)) == ['best_a_epoch_2.pth', 'epoch_2.pth']
    assert files(str(second)) == ['best_a_epoch_4.pth', 'epoch_4.pth']
    (log,) = second.glob('*/*.log')
    assert f'{first}/best_a_epoch_2.pth, ' in log.read_text()


@pytest.mark.parametrize('name', ['precious', 'precious/', 'wd/../precious/a.pth', 'wd/notes.txt', 'wd/best_x.pth/', 7])
def test_a_checkpoint_has_no_word_in_what_is_removed(make_runner, tmp_path, name):
    best = dict(SAFE, save_best='a', rule='greater', max_keep_ckpts=1)
    work_dir = tmp_path / 'wd'
    make_runner(epochs=1, checkpoint=best, scores=[dict(a=1)], work_dir=str(work_dir)).train()
    for folder in (tmp_path / 'precious', work_dir / 'best_x.pth'):
        folder.mkdir()
        (folder / 'a.pth').touch()
    (work_dir / 'notes.txt').touch()
    content = load_checkpoint_file(work_dir / 'epoch_1.pth')
    hub = content['message_hub']['runtime_info']
    hub.update(
        best_ckpt=str(tmp_path / name) if isinstance(name, str) else name,
        best_score='high',
        keep_ckpt_ids=['/../../precious/a', 1],
    )
    torch.save(content, work_dir / 'epoch_1.pth')
    resumed = dict(epochs=2, resume=True, load_from=str(work_dir / 'epoch_1.pth'), work_dir=str(work_dir))
    make_runner(checkpoint=best, scores=[dict(a=3)], **resumed).train()
    for path in (tmp_path / 'precious/a.pth', work_dir / 'best_x.pth/a.pth', work_dir / 'notes.txt'):
        assert path.exists(), path
    assert (work_dir / 'best_a_epoch_2.pth').is_file()


@pytest.mark.parametrize('options', [dict(intervall=1), dict(interval='abc'), dict(max_keep_ckpts='two')])
def test_typos_are_refused_when_the_hook_is_built(options):
    with pytest.raises(TypeError, match=next(iter(options))):
        SafeCheckpointHook(**options)
    SafeCheckpointHook(interval=1, save_optimizer=False, published_keys=['meta', 'state_dict'])
