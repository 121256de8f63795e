# Copyright (c) mmreid contributors. All rights reserved.
import functools
import http.server
import io
import os
import pathlib
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmengine.logging import HistoryBuffer

import mmreid.utils.checkpoint as checkpoint_module
from mmreid.utils.checkpoint import CheckpointError, find_resumable_checkpoint, load_checkpoint_file
from mmreid.utils.current_run import RUN_FILE, CurrentRun, read_current_run, write_current_run


def training_state(step: int, time: str = '20260101_000000', run_id: str | None = None, **extra: Any) -> dict:
    return dict(
        meta=dict(epoch=step, iter=step * 10, time=time, **(dict(run_id=run_id) if run_id else {})),
        state_dict=dict(weight=torch.full((100, 100), float(step))),
        message_hub=dict(loss=HistoryBuffer([1.0], [1])),
        optimizer=dict(),
        **extra,
    )


def packed(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    """Collects warnings of the log.

    Args:
        monkeypatch (pytest.MonkeyPatch): Puts the logger aside.

    Returns:
        list[str]: The messages of level WARNING.
    """
    messages: list[str] = []
    monkeypatch.setattr(
        checkpoint_module, 'print_log', lambda text, logger, level: messages.append(text) if level >= 30 else None
    )
    return messages


class Evil:
    """Runs a command when it is unpickled by a careless reader."""

    def __reduce__(self) -> tuple[Callable, tuple]:
        return os.system, ('touch pwned',)


@pytest.mark.parametrize('legacy', [False, True])
@pytest.mark.parametrize('mmap', [False, True])
def test_loads(tmp_path, legacy, mmap):
    path = tmp_path / 'a.pth'
    path.write_bytes(packed(training_state(3), _use_new_zipfile_serialization=not legacy))
    loaded = load_checkpoint_file(path, mmap=mmap)
    assert loaded['meta']['epoch'] == 3 and loaded['state_dict']['weight'].mean() == 3


def test_downloads_are_loaded_with_the_same_care(tmp_path):
    """MMEngine loads a download without the guard of ``weights_only``."""
    (tmp_path / 'good.pth').write_bytes(packed(training_state(3)))
    (tmp_path / 'evil.pth').write_bytes(packed(dict(meta=Evil())))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            address = f'http://127.0.0.1:{server.server_port}'
            assert load_checkpoint_file(f'{address}/good.pth')['meta']['epoch'] == 3
            with pytest.raises(CheckpointError, match='(posix|nt).system'):
                load_checkpoint_file(f'{address}/evil.pth')
        finally:
            server.shutdown()


GOOD = packed(training_state(1))
LEGACY = packed(training_state(1), _use_new_zipfile_serialization=False)
BAD = {
    'half': (
        GOOD[: len(GOOD) // 2],
        r'\(\d+ bytes\) .*truncated .*zip index',
    ),
    'last byte missing': (GOOD[:-1], 'truncated'),
    'only the head': (GOOD[:64], 'truncated'),
    'head overwritten': (GOOD[:200] + bytes(600) + GOOD[800:], 'damaged'),
    'half, old format': (LEGACY[: len(LEGACY) // 2], 'truncated'),
    'head, old format': (LEGACY[:60], 'truncated'),
    'empty': (b'', '0 bytes'),
    'web page': (b'<!DOCTYPE html><html>', "b'<!DOCTYPE html><'.*web page"),
    'git-lfs': (b'version https://git-lfs.github.com/spec/v1', "b'version https://'.*git-lfs"),
    'tensor': (packed(torch.zeros(2)), 'Tensor, .*dict'),
    'command': (packed(dict(meta=Evil())), '(posix|nt).system'),
    'path object': (
        packed(dict(meta=pathlib.PurePosixPath('a'))),
        r'pathlib\S*PurePosixPath',
    ),
}


@pytest.mark.parametrize(('content', 'message'), BAD.values(), ids=BAD)
@pytest.mark.parametrize('mmap', [False, True])
def test_says_what_is_wrong(tmp_path, monkeypatch, content, message, mmap):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'bad.pth').write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as error:
        load_checkpoint_file('bad.pth', mmap=mmap)
    assert "'bad.pth'" in str(error.value) and '\n' not in str(error.value)
    assert os.listdir(tmp_path) == ['bad.pth'], 'nothing in the file was run'


def test_missing_file_names_its_neighbors(tmp_path):
    (tmp_path / 'epoch_2.pth').touch()
    with pytest.raises(FileNotFoundError, match='epoch_3.pth.*epoch_2.pth'):
        load_checkpoint_file(tmp_path / 'epoch_3.pth')
    with pytest.raises(FileNotFoundError, match=f"epoch_3.pth.*'{tmp_path / 'no'}'"):
        load_checkpoint_file(tmp_path / 'no' / 'epoch_3.pth')
    with pytest.raises(CheckpointError, match=f"'{tmp_path}' .*folder"):
        load_checkpoint_file(tmp_path)


def save(folder: pathlib.Path, name: str, *args: Any, **extra: Any) -> pathlib.Path:
    (folder / name).write_bytes(packed(training_state(*args, **extra)))
    return folder / name


def test_finds_the_newest_of_the_current_run(tmp_path, warnings):
    """Regardless of clocks, names, file times and a stale pointer."""
    save(tmp_path, 'epoch_60.pth', 60, '20270101_000000', run_id='earlier')
    newest = save(tmp_path, 'epoch_10.pth', 10, '20240101_000010', run_id='now')
    save(tmp_path, 'epoch_9.pth', 9, '20260101_000009', run_id='now')
    save(tmp_path, 'epoch_99.pth', 99, '20260101_000009')  # without an id: of an unknown run
    os.utime(newest, (1, 1))
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_9.pth'))
    write_current_run(tmp_path, CurrentRun('now'))
    assert find_resumable_checkpoint(tmp_path) == str(newest) and warnings == []


def test_a_run_without_checkpoints_does_not_take_those_of_others(tmp_path, warnings):
    save(tmp_path, 'epoch_6.pth', 6, run_id='earlier')
    write_current_run(tmp_path, CurrentRun('now'))
    assert find_resumable_checkpoint(tmp_path) is None
    assert len(warnings) == 1 and 'earlier' in warnings[0] and 'epoch_6.pth' in warnings[0]
    warnings.clear()

    start = save(tmp_path, 'epoch_5.pth', 5, run_id='earlier')
    write_current_run(tmp_path, CurrentRun('now', began_from=str(start)))
    assert find_resumable_checkpoint(tmp_path) == str(start) and warnings == []
    start.unlink()
    with pytest.raises(FileNotFoundError, match='epoch_5.pth.*--resume'):
        find_resumable_checkpoint(tmp_path)


@pytest.mark.parametrize(
    'content', ['', '{', '[]', '{"id": 3}', '{"id": "a", "more": 1}', '{"id": "a", "began_from": 1}', '[' * 9999]
)
def test_an_unreadable_run_file_names_no_run(tmp_path, warnings, content):
    (tmp_path / RUN_FILE).write_text(content)
    assert read_current_run(tmp_path) is None
    save(tmp_path, 'epoch_1.pth', 1, run_id='a')
    longest = save(tmp_path, 'epoch_3.pth', 3, run_id='b')
    assert find_resumable_checkpoint(tmp_path) == str(longest)
    assert len(warnings) == 1 and 'several' in warnings[0]


def test_the_longest_trained_is_the_newest(tmp_path):
    for step in (9, 10, 8):
        save(tmp_path, f'epoch_{step}.pth', step)
    assert find_resumable_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_10.pth')


def test_skips_and_names_bad_files(tmp_path, warnings):
    good = save(tmp_path, 'epoch_1.pth', 1)
    (tmp_path / 'epoch_2.pth').write_bytes(GOOD[:-100])
    (tmp_path / 'epoch_3.pth').write_bytes(b'')
    (tmp_path / 'epoch_4.pth').write_bytes(packed(dict(training_state(4), meta=Evil())))
    assert find_resumable_checkpoint(tmp_path) == str(good)
    assert len(warnings) == 3
    for step, warning in zip((2, 3, 4), sorted(warnings), strict=True):
        assert warning.startswith(f'Skipped {tmp_path}/epoch_{step}.pth')


def test_checks_what_torch_does_not(tmp_path, warnings):
    """A flipped byte in the weights, which torch.load reads without an error."""
    good = save(tmp_path, 'epoch_1.pth', 1)
    flipped = save(tmp_path, 'epoch_2.pth', 2)
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 0xFF
    flipped.write_bytes(content)
    assert load_checkpoint_file(flipped)['meta']['epoch'] == 2
    assert find_resumable_checkpoint(tmp_path) == str(good)
    assert len(warnings) == 1 and 'epoch_2.pth' in warnings[0] and 'damaged' in warnings[0]


def test_passes_over_files_without_training_state(tmp_path, warnings):
    good = save(tmp_path, 'epoch_1.pth', 1)
    for key in ('optimizer', 'message_hub', 'meta', 'state_dict'):
        content = training_state(9, '20270101_000000')
        del content[key]
        (tmp_path / f'no_{key}.pth').write_bytes(packed(content))
    (tmp_path / 'unfinished.pth.1.mmreid.tmp').write_bytes(GOOD)
    (tmp_path / 'folder.pth').mkdir()
    assert find_resumable_checkpoint(tmp_path) == str(good) and warnings == []


def test_follows_last_checkpoint_to_another_folder(tmp_path):
    (tmp_path / 'work').mkdir()
    (tmp_path / 'out').mkdir()
    newest = save(tmp_path / 'out', 'epoch_2.pth', 2)
    (tmp_path / 'work' / 'last_checkpoint').write_text(str(tmp_path / 'out' / 'epoch_1.pth'))
    assert find_resumable_checkpoint(tmp_path / 'work') == str(newest)
    own = save(tmp_path / 'work', 'epoch_1.pth', 1)
    assert find_resumable_checkpoint(tmp_path / 'work') == str(own), 'a copied run does not go on with its original'
    own.unlink()
    (tmp_path / 'work' / 'last_checkpoint').write_text('s3://bucket/epoch_1.pth\n')
    assert find_resumable_checkpoint(tmp_path / 'work') == 's3://bucket/epoch_1.pth'


@pytest.mark.parametrize('pointer', [None, '', '/another/machine/epoch_1.pth', 'é' * 300])
def test_nothing_to_find(tmp_path, monkeypatch, pointer):
    (tmp_path / 'elsewhere').mkdir()
    save(tmp_path / 'elsewhere', 'epoch_1.pth', 1)
    monkeypatch.chdir(tmp_path / 'elsewhere')
    if pointer is not None:
        (tmp_path / 'last_checkpoint').write_text(pointer)
    assert find_resumable_checkpoint(tmp_path) is None
    assert find_resumable_checkpoint(tmp_path / 'absent') is None
