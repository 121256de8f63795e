# Copyright (c) mmreid contributors. All rights reserved.
"""Runs what a row of the table needs."""

import shutil
from functools import partial
from pathlib import Path

from claim_configs import MANUAL, SEARCH, SEARCHED, SEARCHES, manual_archs, manual_norms, small_config, write_norms
from claims import infrared_worlds
from claims.infrared_worlds import test_average
from claims.runs import build, folder_name

from mmreid.utils.arch_io import load_arch

NO_MANUAL = 'searched, no manual'
TAKES_OVER = (NO_MANUAL, 'searched, longer')
SCORES = 'candidates.jsonl'


def search(work_dir: Path, data_root: Path, weights: Path, seed: int, row: str) -> dict:
    """Searches what a row trains, from the warm start; the search leaves ``arch.json`` in ``work_dir``.

    Other searches by short trainings take over those of the first one, which are found beside its folder.
    """
    name, changes = SEARCHES[row]
    cfg = small_config(name, data_root, weights, seed)
    cfg.merge_from_dict(changes)
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    if name == SEARCH:
        cfg.train_cfg['exclude' if row == NO_MANUAL else 'first'] = manual_archs()
    known = work_dir.with_name(folder_name('search of searched')) / SCORES
    work_dir.mkdir(parents=True, exist_ok=True)
    if row in TAKES_OVER and known.is_file() and not (work_dir / SCORES).is_file():
        shutil.copyfile(known, work_dir / SCORES)
    build(cfg, work_dir).train()
    found = load_arch(work_dir / 'arch.json')
    return dict(norms=found.norms, p_split=found.split_probability)


def train(work_dir: Path, data_root: Path, weights: Path, seed: int, row: str, norms: dict[str, str] | None) -> dict:
    """Trains an architecture from the warm start and tests it.

    Args:
        work_dir (Path): Where the run goes.
        data_root (Path): The people.
        weights (Path): The warm start.
        seed (int): Seed.
        row (str): Row of the table.
        norms (dict[str, str], optional): The architecture, for rows that are not of the manual study.

    Returns:
        dict: ``norms``, and the metrics in percent.
    """
    cfg = small_config(MANUAL.get(row, SEARCHED), data_root, weights, seed)
    if row not in MANUAL:
        work_dir.mkdir(parents=True, exist_ok=True)
        cfg.model.arch = str(write_norms(work_dir / 'trained.json', norms))
    runner = build(cfg, work_dir)
    runner.train()
    expected = manual_norms(row) if row in MANUAL else norms
    if runner.model.arch != expected:
        raise RuntimeError(f'{row} trained the architecture {runner.model.arch} instead of {expected}')
    return dict(norms=expected, **test_average(cfg, work_dir))


def floors(work_dir: Path, data_root: Path, weights: Path, seed: int) -> dict:
    """Tests what has learned nothing about these people."""
    untrained = partial(small_config, MANUAL['all shared'], data_root, seed=seed)
    return infrared_worlds.floors(work_dir, untrained, weights, seed)
