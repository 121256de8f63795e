# Copyright (c) mmreid contributors. All rights reserved.
"""A checkpoint whose memory is not complete beside it is not resumed; the one before is."""

import hashlib
import logging

import pytest
import torch

from mmreid.engine.checkpoints.memory_shards import damaged_shard
from mmreid.utils import checkpoint as checkpoint_module
from mmreid.utils.checkpoint import find_resumable_checkpoint


def write(folder, epoch):
    """Writes a checkpoint whose memory of four slots is in two parts."""
    parts = []
    for rank in range(2):
        file = folder / f'epoch_{epoch}.memory-{rank}of2.pth'
        torch.save(dict(features=torch.full((2, 3), float(epoch))), file)
        parts.append(dict(name=file.name, first=2 * rank, sha256=hashlib.sha256(file.read_bytes()).hexdigest()))
    content = dict(
        meta=dict(epoch=epoch, iter=epoch, time='20260101_000000'),
        **dict(state_dict={}, message_hub={}, optimizer={}),
        memory_shards=dict(size=[4, 3], world_size=2, parts=parts),
    )
    torch.save(content, folder / f'epoch_{epoch}.pth')
    return folder / f'epoch_{epoch}.pth', content


@pytest.fixture
def warnings(monkeypatch):
    messages = []

    def keep(text, logger, level):
        if level >= logging.WARNING:
            messages.append(text)

    monkeypatch.setattr(checkpoint_module, 'print_log', keep)
    return messages


@pytest.mark.parametrize('damage', ['missing', 'flipped', 'exchanged', 'folder'])
def test_a_damaged_part_leads_to_the_checkpoint_before(tmp_path, warnings, damage):
    good, newest = write(tmp_path, 1)[0], write(tmp_path, 2)[0]
    assert find_resumable_checkpoint(tmp_path, damaged_shard) == str(newest) and warnings == []
    part = tmp_path / 'epoch_2.memory-1of2.pth'
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.unlink()
    if damage == 'flipped':
        part.write_bytes(content)
    elif damage == 'exchanged':
        part.write_bytes((tmp_path / 'epoch_1.memory-1of2.pth').read_bytes())
    elif damage == 'folder':
        part.mkdir()
    assert find_resumable_checkpoint(tmp_path, damaged_shard) == str(good)
    (warning,) = warnings
    assert warning.startswith(f'Skipped {newest}') and str(part) in warning


HOSTILE = [
    *(3, 'text', [], {}, dict(size=4), dict(size=['4', 3]), dict(size=[4, -1], parts=[]), dict(size=[4, 3], parts=[3])),
    dict(size=[4, 3], parts=[dict(name='../epoch_1.memory-0of2.pth', first=0)]),
    dict(size=[4, 3], parts=[dict(name='epoch_1.memory-0of2.pth', first=0)]),
    dict(size=[4, 3], parts=[dict(name='epoch_1.memory-0of2.pth', first=0, sha256=7)]),
    dict(size=[4, 3], parts=[dict(name='epoch_1\0.memory-0of2.pth', first=0, sha256='0')]),
]


@pytest.mark.parametrize('manifest', HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_manifest_is_passed_over(tmp_path, warnings, manifest):
    good, (newest, content) = write(tmp_path, 1)[0], write(tmp_path, 2)
    torch.save(dict(content, memory_shards=manifest), newest)
    assert find_resumable_checkpoint(tmp_path, damaged_shard) == str(good)
    (warning,) = warnings
    assert warning.startswith(f'Skipped {newest}') and 'exemplar memory' in warning and '\n' not in warning
