# Copyright (c) mmreid contributors. All rights reserved.
"""Runs what a row of the table needs."""

import shutil
from pathlib import Path

from claim_configs import (
    MANUAL,
    PLAN,
    SEARCH,
    SEARCHED,
    SEARCHES,
    WORLD,
    manual_archs,
    manual_norms,
    small_config,
    write_norms,
)
from claims.floors import measure_floors
from claims.runs import build, folder_name
from mmengine.config import Config

from mmreid.datasets.synthetic import SYSUPlan, write_dataset
from mmreid.utils.arch_io import load_arch

METRICS = ('mAP', 'mINP', 'Rank-1')
NO_MANUAL = 'searched, no manual'
SCORES = 'candidates.jsonl'


def make_world(folder: Path, seed: int) -> Path:
    """Draws the people of a seed, or finds them; returns their folder."""
    plan = SYSUPlan(**PLAN)
    write_dataset(folder, plan.make_world(seed=seed, **WORLD), plan)
    return folder


def search(work_dir: Path, data_root: Path, weights: Path, seed: int, row: str) -> dict:
    """Searches what a row trains, from the warm start; the search leaves ``arch.json`` in ``work_dir``.

    A second search by short trainings takes over those of the first one, which are found beside its folder.
    """
    name, changes = SEARCHES[row]
    cfg = small_config(name, data_root, weights, seed)
    cfg.merge_from_dict(changes)
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    if name == SEARCH:
        cfg.train_cfg['exclude' if row == NO_MANUAL else 'first'] = manual_archs()
    known = work_dir.with_name(folder_name('search of searched')) / SCORES
    work_dir.mkdir(parents=True, exist_ok=True)
    if row == NO_MANUAL and known.is_file() and not (work_dir / SCORES).is_file():
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
    # The average of the weights is what is tested; it stands in the checkpoint in the place of the weights.
    cfg.load_from = (work_dir / 'last_checkpoint').read_text().strip()
    metrics = short(build(cfg, work_dir / 'test').test())
    Path(cfg.load_from).unlink()
    return dict(norms=expected, **metrics)


def floors(work_dir: Path, data_root: Path, weights: Path, seed: int) -> dict:
    """Tests what has learned nothing about these people."""

    def untrained(start: Path | None) -> Config:
        cfg = small_config(MANUAL['all shared'], data_root, start, seed)
        cfg.channels_last = False  # raw pixels have no network
        cfg.model.head.num_classes = 1  # a classifier counts the training identities, of which there are none here
        return cfg

    return measure_floors(work_dir, untrained, weights, WORLD['size'], short, seed)


def short(metrics: dict[str, float]) -> dict[str, float]:
    """Keeps the metrics of the table, without the names of data set and search."""
    kept = {key.rsplit('/', 1)[-1]: value for key, value in metrics.items()}
    return {name: float(kept[name]) for name in METRICS}
