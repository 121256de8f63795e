# Copyright (c) mmreid contributors. All rights reserved.
"""Finds what has changed since a checkpoint was saved, and says whether it takes effect when the run is resumed."""

import re
from itertools import zip_longest
from typing import Any

from mmengine.runner import Runner

from .run_description import COUNTS, KEY

MAX_LINES = 50
ABSENT = 'not set'
_ITEM = re.compile(r'(.*?)\[([^\]]*)\]')

Changes = dict[str, tuple[str, str]]


def notice_changes(runner: Runner, meta: Any, now: dict, filename: str) -> Changes:
    """Refuses changed data, see :func:`find_changes`; :func:`warn_of_changes` logs the other changes later."""
    changes = find_changes(meta, now, filename)
    if changes is None:
        runner.logger.info(f'{filename} does not say what it was trained with, so changes since then go unnoticed')
        return {}
    if 'randomness.seed' in changes:
        runner._randomness_cfg['seed'] = None  # or MMEngine would warn about it again
    return changes


def warn_of_changes(runner: Runner, changes: Changes, now: dict) -> None:
    """Logs what has changed, once it is clear that the run continues."""
    for line in change_lines(changes, now['config']):
        runner.logger.warning(line)


def find_changes(meta: Any, now: dict, filename: str) -> Changes | None:
    """Compares a run with the description of its training in a checkpoint.

    Args:
        meta (Any): ``meta`` of the checkpoint, which may come from anywhere.
        now (dict): What :func:`.run_description.describe_run` returns now.
        filename (str): The checkpoint, for messages.

    Returns:
        dict or None: Old and new text of each changed setting, by dotted name; None if the file has no description.

    Raises:
        ValueError: If the training data differs, or the description is not one.
    """
    then = meta.get(KEY) if isinstance(meta, dict) else None
    if then is None:
        return None
    if not _is_description(then):
        raise ValueError(
            f"{filename} cannot be resumed: its meta['{KEY}'] is not a description of a run; take another checkpoint, "
            'or load_from instead of resume to start a new run from its weights'
        )
    if [entry['sha256'] for entry in then['data']] != [entry['sha256'] for entry in now['data']]:
        pairs = [_compare(*pair) for pair in zip_longest(then['data'], now['data']) if not _is_same(*pair)]
        raise ValueError(
            f'{filename} was trained on other data: {"; ".join(pairs)}; resume with the data of the run, or use '
            'load_from instead of resume to start a new run from its weights'
        )
    old, new = then['config'], now['config']
    differing = [key for key in dict.fromkeys([*new, *old]) if old.get(key) != new.get(key)]
    return {
        key: (old.get(key, ABSENT), new.get(key, ABSENT))
        for key in differing
        if not (_came_with_its_item(key, old) or _came_with_its_item(key, new))
    }


def change_lines(changes: Changes, config: dict[str, str]) -> list[str]:
    """Says in one line each what has changed and whether it takes effect; ``config`` holds all settings as text."""
    lines = [
        f'{_shown(key)}: {_shown(old)} -> {_shown(new)}; {_effect(key, changes, config)}'
        for key, (old, new) in list(changes.items())[:MAX_LINES]
    ]
    more = len(changes) - MAX_LINES
    return [*lines, f'{more} more settings have changed'] if more > 0 else lines


def schedulers_changed(changes: Changes) -> bool:
    """Whether there are other schedulers than before, not just other settings of the same ones."""
    return any(re.fullmatch(r'param_scheduler(\..*)?\.type', key) for key in changes)


def _effect(key: str, changes: Changes, config: dict[str, str]) -> str:
    anew = 'takes effect: the schedule is computed anew, as if the run had begun with it'
    if key == 'randomness.seed' or key.endswith('.sampler.seed'):
        return 'does not take effect: the run goes on with its own seed'
    if key.startswith('optim_wrapper') and '.loss_scale.' in key:
        return 'does not take effect: the loss scale goes on as it was saved'
    if key.startswith('optim_wrapper') and key.endswith('optimizer.type'):
        return 'takes effect: the new optimizer begins without the state of the old one'
    if key.startswith('param_scheduler') and schedulers_changed(changes):
        return f'{anew}; what hooks or validation results have cut so far is not cut again'
    if key.startswith('auto_scale_lr') or key.endswith('.optimizer.lr'):
        return _effect_of_rate(key, config) or anew
    if key.startswith('param_scheduler'):
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


def _effect_of_rate(key: str, config: dict[str, str]) -> str:
    """Says what a schedule with rates of its own makes of an optimizer's learning rate; '' without one."""
    name = key.removeprefix('optim_wrapper').removesuffix('.optimizer.lr') if key.startswith('optim_wrapper') else ''
    types = config.get(f'param_scheduler{name}.type') or config.get('param_scheduler.type', '')
    if 'OneCycleLR' not in types:
        return ''
    return 'does not take effect while OneCycleLR is at work, which takes the rates from its own eta_max'


def _came_with_its_item(key: str, config: dict[str, str]) -> bool:
    """Whether ``key`` belongs to a list item that is absent from ``config``; the line of the list reports it."""
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
    """Shortens untrusted text for one line of the log."""
    short = text if len(text) <= 100 else f'{text[:97]}...'
    return ''.join(letter if letter.isprintable() else '?' for letter in short)
