# Copyright (c) mmreid contributors. All rights reserved.
"""Reads checkpoint files, and says in one sentence what is wrong with bad ones."""

import logging
import os
import os.path as osp
import pickle  # noqa: TID251  for the class of its errors
import re
import zipfile
from collections.abc import Callable
from typing import Any

import torch
from mmengine.fileio import get_file_backend
from mmengine.logging import print_log

from mmreid.utils.compat import register_safe_globals
from mmreid.utils.current_run import RUN_FILE, CurrentRun, read_current_run
from mmreid.utils.plain_content import content_fault, file_fault

# What Runner.resume reads. `best_*` and published files have no optimizer, so a run cannot resume from them.
RESUME_KEYS = ('state_dict', 'meta', 'message_hub', 'optimizer')
_LEGACY_HEAD = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'  # torch.save before 1.6
_REMOTE = re.compile(r'https?://|(\S+:)?(s3|petrel)://')


class CheckpointError(RuntimeError):
    """A checkpoint file that cannot be used; the message names the file, the cause and the remedy."""


def load_checkpoint_file(path: str | os.PathLike, map_location: str | torch.device = 'cpu', mmap: bool = False) -> dict:
    """Loads a checkpoint without running any code from it (``weights_only=True``).

    Args:
        path (str or PathLike): The file, or an address that MMEngine has a file backend for (``https://``, ``s3://``),
            which is copied to a temporary file first.
        map_location (str or torch.device): Where the tensors go. Defaults to 'cpu'.
        mmap (bool): Read tensors of a local file from the disk only when they are used. Defaults to False.

    Returns:
        dict: The checkpoint, with the keys it was saved with.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If it is empty, truncated, not a checkpoint, or holds objects that would need code to load.
    """
    path = os.fspath(path)
    if _REMOTE.match(path):
        return _load_remote(path, map_location)
    if osp.isdir(path):
        raise CheckpointError(f'{path!r} is a folder, not a checkpoint file; name a *.pth file inside it.')
    if not osp.isfile(path):
        raise FileNotFoundError(f'Checkpoint {path!r} does not exist{_neighbors(path)}; check the path.')
    with open(path, 'rb') as file:
        head = file.read(16)
    if not head:
        raise CheckpointError(f'Checkpoint {path!r} is empty (0 bytes): its writer was stopped; use an earlier one.')
    is_zip = head.startswith(b'PK\x03\x04')
    if not is_zip and not head.startswith(_LEGACY_HEAD):
        raise CheckpointError(
            f'{path!r} is not a checkpoint: torch.save writes a zip file, but this starts with {head!r}; a failed '
            'download often leaves a web page or a git-lfs pointer.'
        )
    damaged = (
        f'Checkpoint {path!r} ({osp.getsize(path)} bytes) is truncated or damaged: its writer or its download was '
        'interrupted; use an earlier checkpoint or fetch the file again'
    )
    # The index of a zip file is at its end, so a truncated one has none.
    if is_zip and not zipfile.is_zipfile(path):
        raise CheckpointError(f'{damaged} (the zip index at its end is missing).')
    fault = _fault_before_loading(path, is_zip)
    if fault is not None:
        raise CheckpointError(f'{path!r} is refused: {fault}.')
    register_safe_globals()
    try:
        # Explicit, because TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD changes what is not.
        checkpoint = torch.load(  # noqa: TID251  the one place that may, with the checks around it
            path, map_location=map_location, weights_only=True, mmap=mmap and is_zip
        )
    except pickle.UnpicklingError as error:
        refused = re.search(r'asks for (.+?), which|GLOBAL:? ([\w.]+)', str(error))
        if refused is None or _damaged_part(path) is not None:  # a name garbled by damage is not an attack
            raise CheckpointError(f'{damaged} (its pickle cannot be read).') from error
        what = refused.group(1) or refused.group(2)
        raise CheckpointError(
            f'Checkpoint {path!r} holds {what}, which is not plain data and is refused because loading it would run '
            "code; where the file was made, save only {'meta', 'state_dict'} of it, with plain numbers, texts and "
            'tensors.'
        ) from error
    except Exception as error:  # torch raises whatever the bytes lead to
        raise CheckpointError(f'{damaged} ({_first_line(error)}).') from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f'{path!r} is not a checkpoint: it holds a {type(checkpoint).__name__}, not a dict.')
    fault = content_fault(checkpoint, osp.getsize(path)) or _wrong_entry(checkpoint)
    if fault is not None:
        raise CheckpointError(f'{path!r} is refused: {fault}.')
    return checkpoint


def require_weights(content: Any, place: str) -> dict[str, torch.Tensor]:
    """Returns a part of a checkpoint if it is a state dict; raises a CheckpointError that names ``place`` otherwise."""
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f'{place} holds no weights, but {content!r:.100}.')
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise CheckpointError(f'{place} holds no weights: its entry {name!r:.100} is a {type(value).__name__}.')
    return content


def _fault_before_loading(path: str, is_zip: bool) -> str | None:
    try:
        return file_fault(path, is_zip)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError):
        return None  # torch says what is damaged


def _wrong_entry(checkpoint: dict) -> str | None:
    contents = [checkpoint]
    for name, kinds in (('meta', (dict, type(None))), ('state_dict', dict)):
        if name in checkpoint and not isinstance(checkpoint[name], kinds):
            return f'its {name} is a {type(checkpoint[name]).__name__}, not a dict'
        contents.append(checkpoint.get(name) or {})
    wrong = [key for content in contents for key in content if not isinstance(key, str)]
    return f'an entry is called {wrong[0]!r:.60}, which is not a text' if wrong else None


def _load_remote(address: str, map_location: str | torch.device) -> dict:
    try:
        backend = get_file_backend(address)
    except ImportError as error:
        raise CheckpointError(
            f'{address} needs a client of that storage ({error}); install it, or copy the file to a disk.'
        ) from error
    with backend.get_local_path(address) as local_path:
        return load_checkpoint_file(local_path, map_location)


def find_resumable_checkpoint(
    work_dir: str | os.PathLike, damaged_companion: Callable[[str], str | None] | None = None
) -> str | None:
    """Finds the newest complete training checkpoint of the current run of a work directory.

    MMEngine trusts the file ``last_checkpoint``, which is out of date after a kill at the wrong moment. This looks at
    the checkpoints themselves: the newest has the highest epoch and iteration among those of the run that
    :data:`~mmreid.utils.current_run.RUN_FILE` names; file times do not matter. It is compared with its checksums
    before it is returned. Unreadable files are skipped with a warning, files without optimizer state (``best_*``,
    published ones) silently.

    Args:
        work_dir (str or PathLike): The work directory. If it holds no checkpoint, the search continues in the folder
            that its ``last_checkpoint`` points into (``out_dir`` of the checkpoint hook), then with the checkpoint that
            the run began from.
        damaged_companion (Callable, optional): Returns, for a checkpoint, what is wrong with the files that belong to
            it, or None. Defaults to None.

    Returns:
        str or None: Path of the checkpoint, or None if there is none. An address such as ``s3://...`` found in
        ``last_checkpoint`` is returned unread.

    Raises:
        FileNotFoundError: If the run has no checkpoint yet, and the one it began from is gone.
    """
    work_dir = os.fspath(work_dir)
    run = read_current_run(work_dir)
    newest = _newest_complete(work_dir, run, damaged_companion)
    pointer = osp.join(work_dir, 'last_checkpoint')
    if newest is None and osp.isfile(pointer):
        with open(pointer, encoding='utf-8', errors='replace') as file:
            target = file.read().strip()
        if '://' in target:
            return target
        newest = _newest_complete(osp.dirname(target), run, damaged_companion) if osp.dirname(target) else None
    if newest is not None or run is None:
        return newest
    if not run.began_from:
        _tell_of_others(work_dir, run)
        return None
    if not osp.isfile(run.began_from) and '://' not in run.began_from:
        raise FileNotFoundError(
            f'the run in {work_dir} went on from {run.began_from}, which is gone, and saved nothing of its own yet: '
            'put that file back, or start without --resume'
        )
    return run.began_from


def _tell_of_others(folder: str, run: CurrentRun) -> None:
    """Warns where all resumable checkpoints belong to other runs."""
    other = _newest_complete(folder, None, None)
    if other is not None:
        print_log(
            f'{folder} holds checkpoints of earlier runs, the furthest is {other}, but none of its current run '
            f'{run.id}; to continue one of them, name it with --resume FILE.',
            'current',
            logging.WARNING,
        )


def _newest_complete(
    folder: str, run: CurrentRun | None, damaged_companion: Callable[[str], str | None] | None
) -> str | None:
    """Finds the newest complete training checkpoint of a run in one folder, which may be absent."""
    ranked: list[tuple[tuple[int, int], str, str]] = []
    for name in sorted(os.listdir(folder)) if osp.isdir(folder) else ():
        path = osp.join(folder, name)
        if not name.endswith('.pth') or not osp.isfile(path):
            continue
        try:
            checkpoint = load_checkpoint_file(path, mmap=True)
        except (CheckpointError, FileNotFoundError) as error:
            _skip(path, error)
            continue
        meta = checkpoint.get('meta')
        meta = meta if isinstance(meta, dict) else {}
        absent = [key for key in RESUME_KEYS if key not in checkpoint]
        absent += [f'meta.{key}' for key in ('epoch', 'iter') if not isinstance(meta.get(key), int)]
        if absent:
            print_log(f'{path} is not used to resume: it has no {", ".join(absent)}.', 'current', logging.DEBUG)
            continue
        run_id = str(meta.get('run_id', ''))
        if run is not None and run_id != run.id:
            print_log(f'{path} is not used to resume: it belongs to another run.', 'current', logging.DEBUG)
            continue
        ranked.append(((meta['epoch'], meta['iter']), path, run_id))
    ranked.sort(reverse=True)
    if len({run_id for *_, run_id in ranked}) > 1:
        print_log(
            f'{folder} holds checkpoints of several runs and no {RUN_FILE} that names the current one: the one that '
            f'was trained longest is taken, {ranked[0][1]}; name another with --resume FILE.',
            'current',
            logging.WARNING,
        )
    for _, path, _ in ranked:
        damaged = _damaged_part(path)
        problem = f'its part {damaged!r} is damaged.' if damaged else damaged_companion and damaged_companion(path)
        if not problem:
            return path
        _skip(path, problem)
    return None


def _damaged_part(path: str) -> str | None:
    """Returns the first part of a zip file that does not match its checksum, which ``torch.load`` does not check."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        return archive.testzip()


def _skip(path: str, error: Exception | str) -> None:
    """Warns about a checkpoint that cannot be resumed."""
    print_log(f'Skipped {path} while looking for a checkpoint to resume from: {error}', 'current', logging.WARNING)


def _neighbors(path: str) -> str:
    """Returns a clause for an error message that names the checkpoints in the folder of a missing file."""
    folder = osp.dirname(path) or '.'
    if not osp.isdir(folder):
        return f' (nor does the folder {folder!r})'
    names = sorted(name for name in os.listdir(folder) if name.endswith('.pth'))
    return f' (its folder holds {", ".join(names[:8])}{", ..." if len(names) > 8 else ""})' if names else ''


def _first_line(error: Exception) -> str:
    """Returns the type of an exception and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f'{type(error).__name__}: {lines[0][:150].rstrip(".")}' if lines else type(error).__name__
