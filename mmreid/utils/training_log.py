# Copyright (c) mmreid contributors. All rights reserved.
"""Reads MMEngine's log of a run, even of one that was killed or resumed."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from .json_text import is_number, parse_json

_POSITION = ('step', 'iter', 'epoch')


@dataclass
class TrainingLog:
    """The log of one run.

    Attributes:
        files (list[Path]): The files it was read from, oldest first.
        train (dict[int, dict]): Training entries, by iteration.
        val (dict[int, dict]): Entries of validations and hooks, by epoch; by iteration where the run does not count
            epochs.
        notes (list[str]): What a reader should know: skipped lines, restarts.
    """

    files: list[Path]
    train: dict[int, dict[str, Any]] = field(default_factory=dict)
    val: dict[int, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def epoch_length(self) -> float | None:
        """float | None: Iterations of an epoch; None where the log does not count epochs."""
        lengths = [step / row['epoch'] for step, row in self.train.items() if row.get('epoch')]
        return max(lengths, default=None)

    @property
    def keys(self) -> list[str]:
        """list[str]: All logged keys."""
        rows = [*self.train.values(), *self.val.values()]
        return list(dict.fromkeys(key for row in rows for key in row if key not in _POSITION))

    def find(self, key: str) -> list[str]:
        """Returns the full names of a key: ``'mAP'`` finds ``'market1501/mAP'``.

        Raises a ValueError, naming what was logged, if there is none.
        """
        found = [key] if key in self.keys else [name for name in self.keys if name.endswith(f'/{key}')]
        if not found:
            plain = list(dict.fromkeys(name.rpartition('/')[2] for name in self.keys if not name.startswith('arch/')))
            raise ValueError(f"{self.files[-1]} has no '{key}'; it has {', '.join(plain)}")
        return found

    def values(self, key: str, by_epoch: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Returns positions and values of a key, float64 arrays of shape (N,).

        Positions are in epochs where the run counts them, or in iterations with ``by_epoch=False``.
        """
        rows = self.train if any(key in row for row in self.train.values()) else self.val
        steps = np.array([step for step, row in rows.items() if key in row], dtype=np.float64)
        length, in_iterations = self.epoch_length, self.in_iterations(rows)
        if length is not None and by_epoch == in_iterations:
            steps = steps / length if in_iterations else steps * length
        return steps, np.array([row[key] for row in rows.values() if key in row], dtype=np.float64)

    def in_iterations(self, rows: Mapping[int, dict]) -> bool:
        """Whether the keys of ``rows`` (``train`` or ``val``) are iterations; otherwise they are epochs."""
        last = max((row.get('epoch', 0) for row in self.train.values()), default=0)
        return rows is self.train or max(rows, default=0) > last


@dataclass(frozen=True)
class TrainTime:
    """How long training took, in seconds per iteration, averaged over the log.

    Attributes:
        iterations (int): The last logged iteration.
        epochs (int | None): The last logged epoch, where epochs are counted.
        per_iteration (float): Time of an iteration.
        data_fraction (float): Fraction of it spent waiting for data, in [0, 1].
        of_epochs (dict[int, float]): Time of an iteration in each epoch.
        memory (float | None): Peak GPU memory in MiB; None if it was not logged.
    """

    iterations: int
    epochs: int | None
    per_iteration: float
    data_fraction: float
    of_epochs: dict[int, float]
    memory: float | None


def train_time(log: TrainingLog, include_outliers: bool = False) -> TrainTime:
    """Summarizes the times of a run.

    Args:
        log (TrainingLog): The log.
        include_outliers (bool): Also count the first entry of each epoch, where workers start. The entries of epochs
            with a single one always count. Defaults to False.

    Returns:
        TrainTime: The times.

    Raises:
        ValueError: If no training was logged.
    """
    rows = [dict(row, step=step) for step, row in log.train.items() if 'time' in row]
    if not rows:
        raise ValueError(f'{log.files[-1]} has no times of a training; was it the log of a test?')
    epochs: dict[int, list[dict]] = {}
    for row in rows:
        epochs.setdefault(row.get('epoch', 0), []).append(row)
    if not include_outliers:
        epochs = {epoch: entries[1:] or entries for epoch, entries in epochs.items()}
    counted = [row for entries in epochs.values() for row in entries]
    per_iteration = mean(row['time'] for row in counted)
    memory = [row['memory'] for row in rows if 'memory' in row]
    return TrainTime(
        iterations=rows[-1]['step'],
        epochs=rows[-1].get('epoch'),
        per_iteration=per_iteration,
        data_fraction=mean(row.get('data_time', 0.0) for row in counted) / per_iteration if per_iteration else 0.0,
        of_epochs={epoch: mean(row['time'] for row in entries) for epoch, entries in epochs.items() if epoch},
        memory=max(memory, default=None),
    )


def read_training_log(path: str | os.PathLike) -> TrainingLog:
    """Reads the log of a run; a part that was trained again replaces the earlier one.

    Args:
        path (str | os.PathLike): A ``scalars.json`` or ``<time>.json``; or the folder of a run, whose logs are joined
            in the order of their times.

    Raises:
        ValueError: If there is no log, or a file is not one.
    """
    log = TrainingLog(_files_of(Path(path)))
    for file in log.files:
        for row in _rows_of(file, log.notes):
            _add(log, row, file)
    if not log.train and not log.val:
        raise ValueError(f'{log.files[-1]} holds nothing yet: the run stopped before it logged anything')
    return log


def unique_names(paths: Sequence[str | os.PathLike]) -> list[str]:
    """Names runs by the last parts of their paths, as few as are needed to tell them apart."""
    parts = [
        [part for part in Path(path).absolute().parts if part not in ('vis_data', 'scalars.json')] for path in paths
    ]
    for count in range(1, max(map(len, parts), default=1) + 1):
        names = ['/'.join(of_path[-count:]) for of_path in parts]
        if len(set(names)) == len(names):
            break
    return names


def _files_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ValueError(f'{path} does not exist; give the folder of a run (--work-dir of its training), or a log file')
    for pattern in ('*/vis_data/scalars.json', 'vis_data/scalars.json', 'scalars.json'):
        files = sorted(path.glob(pattern))
        if files:
            return files
    below = sorted({str(file.parents[2]) for file in path.glob('*/*/vis_data/scalars.json')})
    hint = f'; it has runs below it, give them one by one: {" ".join(below[:6])}' if below else ''
    raise ValueError(f'{path} holds no log, which would be at <time>/vis_data/scalars.json{hint}')


def _rows_of(file: Path, notes: list[str]) -> list[dict[str, Any]]:
    """Reads the lines of a file; the last one may be broken."""
    lines = file.read_text(encoding='utf-8', errors='replace').splitlines()
    lines = [line for line in lines if line.strip('\0 \t')]
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = parse_json(line)
        except ValueError as error:
            if number == len(lines) and rows:
                notes.append(f'{file}: the last line is broken (the run was killed) and was skipped')
                break
            raise ValueError(
                f'{file} is not a log of MMEngine: line {number} is not JSON ({line[:40]!r}); give '
                '<run>/<time>/vis_data/scalars.json'
            ) from error
        if not isinstance(row, dict) or not _is_count(row.get('step')):
            raise ValueError(
                f'{file} is not a log of MMEngine: line {number} has no step; give <run>/<time>/vis_data/scalars.json'
            )
        wrong = [key for key in _POSITION if not _is_count(row.get(key, 0))]
        if wrong:
            raise ValueError(f'{file} line {number}: {wrong[0]} is {row[wrong[0]]!r:.100}, but must be a count')
        rows.append({key: value for key, value in row.items() if is_number(value)})
    return rows


def _is_count(value: Any) -> bool:
    return is_number(value) and isinstance(value, int) and value >= 0


def _add(log: TrainingLog, row: dict[str, Any], file: Path) -> None:
    step = row['step']
    if 'iter' not in row:
        log.val[step] = {**log.val.pop(step, {}), **row}
        return
    if step <= max(log.train, default=0):  # the training started again here
        log.notes.append(f'{file}: begins again at iteration {step}, which replaces the entries from there on')
        border = step if log.in_iterations(log.val) else row.get('epoch', step)
        log.train = {other: known for other, known in log.train.items() if other < step}
        log.val = {other: known for other, known in log.val.items() if other < border}
    log.train[step] = row
