# Copyright (c) mmreid contributors. All rights reserved.
"""What a run was trained with, written into its checkpoints; what has changed since, when it is resumed."""

import hashlib
import os.path as osp
import re
from itertools import zip_longest
from typing import Any

import numpy as np
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmreid.datasets import BaseReIDDataset

KEY = 'trained_with'  # in the meta of a checkpoint
SECTIONS = (
    'model',
    'data_preprocessor',
    'optim_wrapper',
    'param_scheduler',
    'train_dataloader',
    'train_cfg',
    'custom_hooks',
    'randomness',
    'channels_last',
    'sync_bn',
)
# What may change freely: where things lie, and how fast they are read. The images themselves are compared.
FREE = {
    'model': {'init_cfg'},
    'train_dataloader': {
        *('num_workers', 'pin_memory', 'persistent_workers', 'prefetch_factor', 'timeout', 'worker_init_fn'),
        *('data_root', 'data_prefix', 'ann_file', 'folder', 'backend_args', 'file_client_args', 'name'),
        *('lazy_init', 'serialize_data'),
    },
    'train_cfg': {'val_interval', 'val_begin', 'dynamic_intervals'},
}
COUNTS = ('images', 'identities', 'cameras')
MAX_LINES = 50
ABSENT = 'not set'
_ITEM = re.compile(r'(.*?)\[([^\]]*)\]')

Changes = dict[str, tuple[str, str]]


def describe_run(runner: Runner) -> dict:
    """Describes what a run depends on, in plain data.

    Args:
        runner (Runner): A runner whose training data is built.

    Returns:
        dict: ``data``, one entry for each training set with its ``name``, number of ``images``, ``identities`` and
        ``cameras`` and a ``sha256`` over names and labels; and ``config``, the settings as text by dotted name.
    """
    config: dict[str, str] = {}
    for section in SECTIONS:
        if runner.cfg.get(section) is not None:
            _flatten(runner.cfg[section], section, FREE.get(section, set()), config)
    scaling = runner.cfg.get('auto_scale_lr') or {}
    if scaling.get('enable'):
        _flatten(scaling, 'auto_scale_lr', set(), config)
    config['world_size'] = str(runner.world_size)
    if config.get('randomness.seed') == 'None':
        del config['randomness.seed']
    return dict(data=describe_data(runner.train_dataloader.dataset), config=config)


def note_seed(runner: Runner, description: dict) -> None:
    """Notes the seed that a resumed run goes on with, which is its own, in its description."""
    if 'randomness.seed' in description['config']:
        description['config']['randomness.seed'] = str(runner.seed)


def notice_changes(runner: Runner, meta: Any, now: dict, filename: str) -> Changes:
    """Refuses changed data and warns of changed settings; see :func:`find_changes`."""
    changes = find_changes(meta, now, filename)
    if changes is None:
        runner.logger.info(f'{filename} does not say what it was trained with, so changes since then go unnoticed')
        return {}
    for line in change_lines(changes):
        runner.logger.warning(line)
    if 'randomness.seed' in changes:
        runner._randomness_cfg['seed'] = None  # or MMEngine would warn of it once more
    return changes


def describe_data(dataset: Dataset) -> list[dict]:
    """Counts and hashes the images of a training set, each of its parts for itself; their folder does not matter.

    Args:
        dataset (Dataset): The data set, within wrappers or not.

    Returns:
        list[dict]: See :func:`describe_run`; nothing for data sets that are not of mmreid.
    """
    if not isinstance(dataset, BaseReIDDataset):
        inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
        return [entry for part in inner if part is not None for entry in describe_data(part)]
    names = getattr(dataset, 'part_names', [dataset.name])
    domains = dataset.domains if len(names) > 1 else np.zeros(len(dataset), dtype=np.int64)
    return [_describe_part(dataset, name, np.flatnonzero(domains == part)) for part, name in enumerate(names)]


def _describe_part(dataset: BaseReIDDataset, name: str, indices: np.ndarray) -> dict:
    records = [dataset.get_data_info(index) for index in indices.tolist()]
    paths = [osp.split(record['img_path']) for record in records]
    folders = {folder: osp.abspath(folder) for folder, _ in paths}
    root = osp.commonpath(folders.values()) if folders else ''
    inside = {folder: osp.relpath(whole, root).replace(osp.sep, '/') for folder, whole in folders.items()}
    ids = np.array([[record.get(key, -1) for key in ('gt_label', 'pid', 'camid')] for record in records])
    if len(indices) < len(dataset):
        ids -= ids.min(axis=0)  # the ids of a part are moved behind those of the parts before it
    digest = hashlib.sha256()
    for (folder, file), labels, record in zip(paths, ids.tolist(), records, strict=True):
        line = f'{inside[folder]}/{file}\0{labels}\0{record.get("modality")}\n'
        digest.update(line.encode('utf-8', 'surrogateescape'))
    counts = (len(records), len({record['pid'] for record in records}), len({record['camid'] for record in records}))
    return dict(name=name, **dict(zip(COUNTS, counts, strict=True)), sha256=digest.hexdigest())


def find_changes(meta: Any, now: dict, filename: str) -> Changes | None:
    """Compares a run with what a checkpoint says that it was trained with.

    Args:
        meta (Any): ``meta`` of the checkpoint, which may come from anywhere.
        now (dict): What :func:`describe_run` says now.
        filename (str): The checkpoint, for messages.

    Returns:
        dict or None: Old and new text of each setting that differs, by dotted name; None if the file does not say.

    Raises:
        ValueError: If the training data differs, or the description is none.
    """
    then = meta.get(KEY) if isinstance(meta, dict) else None
    if then is None:
        return None
    if not _is_description(then):
        raise ValueError(
            f"{filename} cannot be resumed: its meta['{KEY}'] is no description of a run; take another checkpoint, or "
            'load_from instead of resume to start anew from its weights'
        )
    if [entry['sha256'] for entry in then['data']] != [entry['sha256'] for entry in now['data']]:
        pairs = [_compare(*pair) for pair in zip_longest(then['data'], now['data']) if not _is_same(*pair)]
        raise ValueError(
            f'{filename} was trained on other data: {"; ".join(pairs)}; resume with the data of the run, or use '
            'load_from instead of resume to start anew from its weights'
        )
    old, new = then['config'], now['config']
    differing = [key for key in dict.fromkeys([*new, *old]) if old.get(key) != new.get(key)]
    return {
        key: (old.get(key, ABSENT), new.get(key, ABSENT))
        for key in differing
        if not (_came_with_its_item(key, old) or _came_with_its_item(key, new))
    }


def change_lines(changes: Changes) -> list[str]:
    """Says in one line each what has changed and whether it takes effect.

    Args:
        changes (dict): What :func:`find_changes` gave.

    Returns:
        list[str]: The lines.
    """
    lines = [
        f'{_shown(key)}: {_shown(old)} -> {_shown(new)}; {_effect(key, changes)}'
        for key, (old, new) in list(changes.items())[:MAX_LINES]
    ]
    more = len(changes) - MAX_LINES
    return [*lines, f'{more} more settings have changed'] if more > 0 else lines


def schedulers_changed(changes: Changes) -> bool:
    """Tells whether there are other schedulers than before, not only the same ones with other settings."""
    return any(re.fullmatch(r'param_scheduler(\..*)?\.type', key) for key in changes)


def _effect(key: str, changes: Changes) -> str:
    anew = 'takes effect: the schedule is computed anew, as if the run had begun with it'
    if key == 'randomness.seed' or key.endswith('.sampler.seed'):
        return 'does not take effect: the run goes on with its own seed'
    if key.startswith('optim_wrapper') and '.loss_scale.' in key:
        return 'does not take effect: the loss scale goes on as it was saved'
    if key.startswith('optim_wrapper') and key.endswith('optimizer.type'):
        return 'takes effect: the new optimizer begins without the state of the old one'
    if key.startswith('param_scheduler') and schedulers_changed(changes):
        return f'{anew}; what hooks or validation results have cut so far is not cut again'
    if key.startswith(('param_scheduler', 'auto_scale_lr')) or key.endswith('.optimizer.lr'):
        return anew
    if key in ('train_cfg.max_epochs', 'train_cfg.max_iters'):
        return 'takes effect: the run ends there, and so do schedules without an end of their own'
    if key.startswith('train_dataloader') or key == 'world_size':
        return 'takes effect from here on; epochs and iterations are counted on'
    if key.startswith('custom_hooks'):
        return 'takes effect from here on, except for what the checkpoint holds of the hook'
    if key.startswith(('model', 'data_preprocessor')):
        return 'takes effect from here on, except for what the weights of the checkpoint hold'
    return 'takes effect from here on'


def _flatten(value: Any, key: str, free: set[str], found: dict[str, str]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in free:
                _flatten(inner, f'{key}.{name}', free, found)
    elif (
        isinstance(value, (list, tuple)) and value and all(isinstance(item, dict) and 'type' in item for item in value)
    ):
        # Items are known by their type, so that one more does not move those behind it.
        names: list[str] = []
        for item in value:
            kind = _name(item['type'])
            names.append(f'{kind}#{names.count(kind) + 1}' if kind in names else kind)
            _flatten({k: v for k, v in item.items() if k != 'type'}, f'{key}[{names[-1]}]', free, found)
        found[f'{key}.type'] = ', '.join(names)
    else:
        found[key] = _text(value)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return '{' + ', '.join(f'{name}: {_text(inner)}' for name, inner in value.items()) + '}'
    if isinstance(value, (list, tuple)):
        return '[' + ', '.join(map(_text, value)) + ']'
    plain = value is None or isinstance(value, (bool, int, float, str))
    return repr(value) if plain else _name(value)  # the repr of an object holds its address


def _name(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, '__qualname__', type(value).__qualname__)


def _came_with_its_item(key: str, config: dict[str, str]) -> bool:
    """Whether an item of a list that ``key`` belongs to is absent from ``config``, which the line of the list says."""
    end, items = 0, []
    while match := _ITEM.match(key, end):
        items.append((key[: match.end(1)], match[2]))
        end = match.end()
    return any(item not in config.get(f'{holder}.type', '').split(', ') for holder, item in items)


def _is_description(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and isinstance(found.get('data'), list)
        and all(_is_data(entry) for entry in found['data'])
        and isinstance(found.get('config'), dict)
        and all(isinstance(text, str) for pair in found['config'].items() for text in pair)
    )


def _is_data(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and all(isinstance(entry.get(key), str) for key in ('name', 'sha256'))
        and all(type(entry.get(key)) is int for key in COUNTS)
    )


def _is_same(then: dict | None, now: dict | None) -> bool:
    return then is not None and now is not None and then['sha256'] == now['sha256']


def _compare(then: dict | None, now: dict | None) -> str:
    if then and now and all(then[key] == now[key] for key in COUNTS):
        return f'{_shown(now["name"])} has as many images as then, {now["images"]}, but other labels or file names'
    return f'then {_counted(then)}, now {_counted(now)}'


def _counted(entry: dict | None) -> str:
    if entry is None:
        return 'no such data set'
    counts = (f'{entry[key]} {key}' for key in COUNTS)
    return f'{_shown(entry["name"])} with {", ".join(counts)}'


def _shown(text: str) -> str:
    """Text of a file that may come from anywhere, for one line of the log."""
    short = text if len(text) <= 100 else f'{text[:97]}...'
    return ''.join(letter if letter.isprintable() else '?' for letter in short)
