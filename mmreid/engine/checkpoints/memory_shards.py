# Copyright (c) mmreid contributors. All rights reserved.
"""The parts of a sharded exemplar memory as files beside a checkpoint, which names them with their hashes."""

import os
import os.path as osp
import re
from contextlib import suppress

import torch
from mmengine.dist import all_gather_object, is_main_process

from mmreid.models.memories import ExemplarMemory
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.checkpoint import load_checkpoint_file
from mmreid.utils.file_hash import sha256_of

SHARD_NAME = re.compile(r'(?P<checkpoint>.+)\.memory-\d+of\d+\.pth')


def save_shards(memory: ExemplarMemory, path: str) -> dict:
    """Saves the slots of each rank, and removes the parts of removed checkpoints. All ranks must call it.

    Args:
        memory (ExemplarMemory): A sharded memory.
        path (str): The checkpoint, which is written afterwards.

    Returns:
        dict: The manifest: ``size``, ``world_size``, and the ``name``, ``first`` slot and ``sha256`` of each part.
    """
    folder, stem = osp.dirname(path), osp.splitext(osp.basename(path))[0]
    os.makedirs(folder or '.', exist_ok=True)
    name = f'{stem}.memory-{memory.rank}of{memory.num_shards}.pth'
    file = osp.join(folder, name)
    atomic_write(file, lambda stream: torch.save(dict(features=memory.features.cpu()), stream))
    parts = all_gather_object(dict(name=name, first=memory.first, sha256=sha256_of(file)))
    if is_main_process():
        remove_orphans(folder, keep=stem)
    return dict(size=[memory.num_slots, memory.feat_dim], world_size=memory.num_shards, parts=parts)


def load_slots(manifest: dict, folder: str, begin: int, end: int) -> torch.Tensor:
    """Reads the slots ``begin`` to ``end - 1`` from their parts.

    Args:
        manifest (dict): The result of :func:`save_shards`.
        folder (str): Folder of the checkpoint and its parts.
        begin (int): First slot to read.
        end (int): One after the last slot to read.

    Returns:
        torch.Tensor: Shape (end - begin, D), as stored.

    Raises:
        FileNotFoundError: If a part is missing.
        ValueError: If a part was not saved with the checkpoint, or the manifest is invalid.
        CheckpointError: If a part cannot be read.
    """
    check_manifest(manifest)
    firsts = [part['first'] for part in manifest['parts']] + [manifest['size'][0]]
    rows = []
    for part, first, last in zip(manifest['parts'], firsts, firsts[1:], strict=False):
        if last <= begin or first >= end:
            continue
        file = osp.join(folder, part['name'])
        if not osp.isfile(file):
            raise FileNotFoundError(
                f'{file} is missing: the checkpoint beside it has its exemplar memory in {len(firsts) - 1} '
                'parts; copy all of them together, or use load_from instead of resume to start with a new memory'
            )
        if sha256_of(file) != part.get('sha256'):
            raise ValueError(
                f'{file} is not the part of the exemplar memory that was saved with its checkpoint (its hash differs); '
                'copy it again, or resume from another checkpoint'
            )
        features = load_checkpoint_file(file).get('features')
        if not isinstance(features, torch.Tensor) or features.shape != (last - first, manifest['size'][1]):
            raise ValueError(f'{file} holds no features of the slots {first} to {last - 1}; copy it again')
        rows.append(features[max(begin - first, 0) : end - first])
    return torch.cat(rows)


def damaged_shard(path: str) -> str | None:
    """Describes what is wrong with the memory parts of a readable checkpoint; None if nothing is."""
    manifest = load_checkpoint_file(path, mmap=True).get('memory_shards')
    if manifest is None:
        return None
    try:
        check_manifest(manifest)
    except ValueError as error:
        return f'{error}.'
    for part in manifest['parts']:
        file = osp.join(osp.dirname(path), part['name'])
        if not osp.isfile(file):
            return f'{file}, a part of its exemplar memory, is missing.'
        if sha256_of(file) != part.get('sha256'):
            return f'{file}, a part of its exemplar memory, is damaged (its hash differs).'
    return None


def check_manifest(manifest: dict) -> None:
    """Raises a ValueError for a manifest that :func:`save_shards` cannot have written, e.g. with parts elsewhere."""
    content = manifest if isinstance(manifest, dict) else {}
    parts, size = content.get('parts') or [None], content.get('size')
    for part in parts if isinstance(parts, list) else [None]:
        name = part.get('name') if isinstance(part, dict) else None
        if not isinstance(name, str) or osp.basename(name) != name or not SHARD_NAME.fullmatch(name):
            raise ValueError(
                f'the checkpoint names {name!r:.200} as a part of its exemplar memory, which is not a file beside it; '
                'resume from another checkpoint'
            )
    firsts = [part.get('first') for part in parts]
    numbers = [*size, *firsts] if isinstance(size, (list, tuple)) and len(size) == 2 else [None]
    if not all(type(number) is int for number in numbers) or [0, *sorted({*firsts, size[0]})] != [0, *firsts, size[0]]:
        raise ValueError(
            f'the checkpoint says that its exemplar memory is {size!r:.200} and that its parts begin at '
            f'{firsts!r:.200}, which does not fit; resume from another checkpoint'
        )


def remove_orphans(folder: str, keep: str = '') -> None:
    """Removes parts whose checkpoint is gone; ``keep`` is one, without .pth, that is yet to be written."""
    for name in os.listdir(folder or '.'):
        match = SHARD_NAME.fullmatch(name)
        if match and match['checkpoint'] != keep and not osp.exists(osp.join(folder, f'{match["checkpoint"]}.pth')):
            with suppress(OSError):
                os.remove(osp.join(folder, name))
