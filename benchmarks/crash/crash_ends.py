# Copyright (c) mmreid contributors. All rights reserved.
"""Compares what two trainings left in their folders, bit for bit."""

import json
import re
from pathlib import Path

from test_tools.test_resume import assert_same

from mmreid.utils.atomic_io import TMP_SUFFIX
from mmreid.utils.checkpoint import load_checkpoint_file


def difference(found: Path, wanted: Path) -> str | None:
    """Names the first difference between two finished trainings.

    All checkpoints are compared (weights, averages, optimizers, schedules, message hub, shards), what a search found,
    and the values of all validations, wherever a run was cut. Clocks, folders and the names of runs may differ.

    Args:
        found (Path): The work dir of the one that was interrupted.
        wanted (Path): That of the other.

    Returns:
        str | None: The difference, if there is one.
    """
    if left := sorted(path.name for path in found.glob(f'*{TMP_SUFFIX}')):
        return f'{left[0]} was left'
    names, wanted_names = (sorted(path.name for path in folder.glob('*.pth')) for folder in (found, wanted))
    if names != wanted_names:
        return f'it has the checkpoints {", ".join(names)}, not {", ".join(wanted_names)}'
    for name in names:
        try:
            assert_same(*(load_checkpoint_file(folder / name) for folder in (found, wanted)), name)
        except AssertionError as error:
            return f'another value of {str(error).splitlines()[0]}'
    for name in ('arch.json', 'arch_config.py', 'config.cfg'):
        if _text(found / name) != _text(wanted / name):
            return f'another {name}'
    if Path(_text(found / 'last_checkpoint') or '').name != Path(_text(wanted / 'last_checkpoint') or '').name:
        return f'last_checkpoint names {_text(found / "last_checkpoint")}'
    values, wanted_values = validations(found), validations(wanted)
    for step, value in wanted_values.items():
        if step not in values:
            return f'the validation of epoch {step} is missing'
        if values[step] != [value[0]] * len(values[step]):
            return f'another result of the validation of epoch {step}'
    return None


def validations(work_dir: Path) -> dict[int, list[dict]]:
    """Reads the results of all validations, by epoch, from the logs of all starts."""
    found: dict[int, list[dict]] = {}
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for text in path.read_text().splitlines():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:  # a kill cut the line off
                continue
            if any(name.endswith('/mAP') for name in line):
                found.setdefault(line['step'], []).append(_timeless(line))
    return found


def newest_epoch(work_dir: Path) -> int:
    """Gives the highest epoch that a checkpoint is there of, 0 if there is none."""
    found = (re.fullmatch(r'epoch_(\d+)\.pth', path.name) for path in work_dir.glob('*.pth'))
    return max((int(match[1]) for match in found if match), default=0)


def _timeless(values: dict) -> dict:
    return {name: value for name, value in values.items() if not name.endswith('time')}


def _text(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None
