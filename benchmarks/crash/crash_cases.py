# Copyright (c) mmreid contributors. All rights reserved.
"""Draws how a training is interrupted, interrupts it, and lets it go on to its end."""

import json
import os
import random
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from crash_ends import difference, newest_epoch
from crash_families import Family
from crash_faults import NEED_ROOM, VARIABLE
from test_tools.tool_runs import last_line, run
from warm_processes import run_ranks, run_warm

DAY = 86400
ZONES = ('UTC', 'Asia/Tokyo', 'America/Los_Angeles')


@dataclass(frozen=True)
class Whole:
    """A training that nobody interrupts.

    Args:
        family (Family): What is trained.
        config (Path): Its config.
        work_dir (Path): What it left.
        operations (list[list]): Name and path of its file operations, for each rank.
        seconds (float): How long it took.
    """

    family: Family
    config: Path
    work_dir: Path
    operations: list[list]
    seconds: float


@dataclass(frozen=True)
class Fault:
    """What ends a start of a training; with no argument, nothing does.

    Args:
        at (int): See :class:`crash_faults.Faults`.
        when (str): See there.
        rank (int): See there.
        only (tuple[str, str], optional): See there.
        full (bool): See there.
        file_size (int, optional): Most bytes that a file may have.
        moment (float, optional): Kill after these seconds.
        clock (float): Seconds by which the clock is wrong.
        zone (str): Time zone.
        what (str): In words, for the table.
    """

    at: int = 0
    when: str = 'before'
    rank: int = 0
    only: tuple[str, str] | None = None
    full: bool = False
    file_size: int | None = None
    moment: float | None = None
    clock: float = 0
    zone: str = 'UTC'
    what: str = ''


@dataclass(frozen=True)
class Case:
    """Some starts of one training.

    Args:
        kind (str): ``'operation'``, ``'moment'``, ``'disk'`` or ``'pair'``.
        family (str): What is trained.
        faults (list[Fault]): What ends each start but the last.
        clock (Fault): Clock of the last start.
        cold (bool): Import everything anew at each start. Defaults to False.
    """

    kind: str
    family: str
    faults: list[Fault] = field(default_factory=list)
    clock: Fault = Fault()
    cold: bool = False


def train_whole(family: Family, data: Path, folder: Path) -> Whole:
    """Trains without interruption, and lists the file operations of each rank.

    Args:
        family (Family): What to train.
        data (Path): Its data.
        folder (Path): Where the config, the work dir and the lists go.

    Returns:
        Whole: The training.
    """
    config, work_dir = folder / f'{family.name}.py', folder / f'{family.name}-whole'
    family.write_config(config, data, work_dir)
    lists = [folder / f'{family.name}-rank{rank}.jsonl' for rank in range(family.ranks)]
    start = time.perf_counter()
    start_training(family, config, work_dir, specs=[dict(record=str(path)) for path in lists], check=True)
    seconds = time.perf_counter() - start
    operations = [[json.loads(line) for line in path.read_text().splitlines()] for path in lists]
    return Whole(family, config, work_dir, operations, seconds)


def draw_kills(rng: random.Random, whole: Whole, cold: bool = False) -> Case:
    """Draws a case with a kill at a file operation or at a random moment, sometimes one more while it is resumed.

    Args:
        rng (random.Random): Where chance comes from.
        whole (Whole): The training.
        cold (bool): See :class:`Case`; such a case has kills at operations only. Defaults to False.

    Returns:
        Case: The case.
    """
    clocks = rng.random() < 1 / 3
    kind = 'operation' if cold or rng.random() < 0.6 else 'moment'
    number = 2 if rng.random() < 0.25 else 1
    faults = [_draw_kill(rng, whole, kind, _draw_clock(rng) if clocks else {}) for _ in range(number)]
    return Case(kind, whole.family.name, faults, Fault(**_draw_clock(rng) if clocks else {}), cold)


def draw_full_disk(rng: random.Random, whole: Whole) -> Case:
    """Draws a case in which no room is left from some file operation on, or files may have half of a checkpoint's size.

    Args:
        rng (random.Random): Where chance comes from.
        whole (Whole): The training.

    Returns:
        Case: The case.
    """
    if rng.random() < 0.25:
        size = max(path.stat().st_size for path in whole.work_dir.glob('epoch_*.pth')) // 2
        fault = Fault(file_size=size, what=f'no file above {size} bytes')
    else:
        at, rank, what = _draw_operation(rng, whole, NEED_ROOM)
        fault = Fault(at=at, rank=rank, full=True, what=f'disk full at {what}')
    return Case('disk', whole.family.name, [fault])


def play(case: Case, whole: Whole, work_dir: Path) -> dict:
    """Interrupts a training, lets it go on to its end and compares that with the end of the whole one.

    Args:
        case (Case): How to interrupt it.
        whole (Whole): The training.
        work_dir (Path): Where it goes.

    Returns:
        dict: ``kind``, ``family``, ``what`` happened, number of ``kills``, ``clocks`` turned or not, ``cold`` or not,
        epochs that it was ``resumed`` from, and the ``outcome``: 'same', or what is wrong.
    """
    line = dict(kind=case.kind, family=case.family, cold=case.cold, what=[], kills=0, resumed=[])
    line['clocks'] = any(fault.clock or fault.zone != 'UTC' for fault in (*case.faults, case.clock))
    if case.kind == 'pair':
        return line | _play_pair(whole, work_dir)
    for number, fault in enumerate([*case.faults, case.clock]):
        newest = newest_epoch(work_dir) if number else 0
        _age_files(work_dir, fault.clock)
        done = start_training(whole.family, whole.config, work_dir, fault=fault, resume=number > 0, cold=case.cold)
        resumed = re.search(r'resumed epoch: (\d+)', done.stdout)
        if resumed:
            line['resumed'].append(int(resumed[1]))
            if int(resumed[1]) != newest:
                return line | dict(outcome=f'resumed from epoch {resumed[1]}, but epoch {newest} is there')
        if done.returncode < 0:
            line['kills'] += 1
            line['what'].append(fault.what)
        elif done.returncode:
            line['what'].append(fault.what)
            line['said'] = sentence_of(done, whole.family)
            if line['said'] is None:
                return line | dict(outcome=f'no sentence, but {last_line(done)}', output=done.stdout[-4000:])
            if not fault.what:
                return line | dict(outcome=f'refused: {line["said"]}')
        else:
            break  # a fault that came too late ended nothing
    return line | dict(outcome=difference(work_dir, whole.work_dir) or 'same')


def start_training(
    family: Family,
    config: Path,
    work_dir: Path,
    fault: Fault | None = None,
    specs: list[dict] | None = None,
    resume: bool = False,
    cold: bool = False,
    check: bool = False,
) -> subprocess.CompletedProcess:
    """Starts a training once, and waits for its end.

    Args:
        family (Family): What is trained.
        config (Path): Its config.
        work_dir (Path): Where results go.
        fault (Fault, optional): What ends it.
        specs (list[dict], optional): Arguments of :class:`crash_faults.Faults`, of each rank, instead.
        resume (bool): Give ``--resume``. Defaults to False.
        cold (bool): Import everything anew. Defaults to False.
        check (bool): Fail if it fails. Defaults to False.

    Returns:
        subprocess.CompletedProcess: With its output as text.
    """
    command = ['tools/train.py', config, '--work-dir', work_dir, *(['--resume'] if resume else [])]
    fault = fault or Fault()
    names = ('at', 'when', 'rank', 'only', 'full', 'clock', 'file_size')
    specs = specs or [{name: value for name, value in asdict(fault).items() if name in names}]
    env = {VARIABLE: json.dumps([dict(spec, folder=str(work_dir)) for spec in specs]), 'TZ': fault.zone}
    if cold:
        return run(*command, check=check, **env)
    if family.ranks == 1:
        return run_warm(*command, check=check, kill_after=fault.moment, **env)
    ranks = ('--launcher', 'pytorch')
    return run_ranks(family.ranks, *command, *ranks, check=check, kill_after=fault.moment, **env)


def sentence_of(done: subprocess.CompletedProcess, family: Family) -> str | None:
    """Gives the sentence that a training ended with.

    Args:
        done (subprocess.CompletedProcess): The training.
        family (Family): What was trained; another rank may show how its connection broke off.

    Returns:
        str | None: The sentence; None if there is none, or a traceback behind it.
    """
    before, found, after = done.stdout.rpartition('\nerror: ')
    is_clean = found and (family.ranks > 1 or 'Traceback' not in after)
    return after.partition('\n')[0] if is_clean else None


def _play_pair(whole: Whole, work_dir: Path) -> dict:
    """Halts a training after its first checkpoint, and starts two more in its folder meanwhile."""
    signal = work_dir.with_name(f'{work_dir.name}-goes-on')
    halt = dict(only=('replace', 'epoch_1.pth'), at=1, when='after', rank=0, wait=str(signal))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(start_training, whole.family, whole.config, work_dir, specs=[halt])
        try:
            while newest_epoch(work_dir) == 0 and not first.done():
                time.sleep(0.05)
            others = [start_training(whole.family, whole.config, work_dir, resume=resume) for resume in (True, False)]
        finally:
            signal.touch()
    line = dict(what=['a second and a third training in one folder'])
    said = [sentence_of(other, whole.family) for other in others if other.returncode == 1]
    if len(said) < 2 or None in said:
        return line | dict(outcome='not both were refused in a sentence', output=others[0].stdout[-4000:])
    if first.result().returncode:
        return line | dict(outcome=f'the first ended with {last_line(first.result())}')
    return line | dict(said=said[0], outcome=difference(work_dir, whole.work_dir) or 'same')


def _draw_kill(rng: random.Random, whole: Whole, kind: str, clock: dict) -> Fault:
    if kind == 'moment':
        moment = round(rng.uniform(0, whole.seconds), 2)
        return Fault(moment=moment, what=f'killed after {moment} s', **clock)
    at, rank, what = _draw_operation(rng, whole)
    when = rng.choice(['before', 'within', 'after'] if what.startswith('write') else ['before', 'after'])
    return Fault(at=at, rank=rank, when=when, what=f'killed {when} {what}', **clock)


def _draw_operation(rng: random.Random, whole: Whole, names: set[str] | None = None) -> tuple[int, int, str]:
    """Draws a kind of operation, then one of this kind; else most would be those on logs."""
    kinds: dict[tuple, list] = {}
    for rank, operations in enumerate(whole.operations):
        for at, (name, path) in enumerate(operations, start=1):
            if names is None or name in names:
                short = re.sub(r'\.[\w-]+\.mmreid\.tmp$', '.tmp', re.sub(r'\d{8}_\d{6}', 'DATE', path))
                kinds.setdefault((rank, name, re.sub(r'\d+', '', short)), []).append((at, rank, f'{name} {short}'))
    return rng.choice(kinds[rng.choice(sorted(kinds))])


def _draw_clock(rng: random.Random) -> dict:
    return dict(clock=rng.choice([-DAY, 0, DAY]), zone=rng.choice(ZONES))


def _age_files(work_dir: Path, seconds: float) -> None:
    """Gives files times of change that contradict their order."""
    if seconds and work_dir.is_dir():
        for number, path in enumerate(sorted(work_dir.glob('*.pth'))):
            moment = time.time() - number * seconds / 100
            os.utime(path, (moment, moment))
