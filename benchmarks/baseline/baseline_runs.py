# Copyright (c) mmreid contributors. All rights reserved.
"""Draws the people, times, trains and tests a row, and tests the floors."""

import time
from pathlib import Path
from statistics import mean, median

from baseline_configs import BASELINE, PLAN, SETTLING, TIMED, WORLD, Row, small_config
from claims.floors import measure_floors, test_only
from claims.runs import build
from mmengine.hooks import Hook

from mmreid.datasets.synthetic import MarketPlan, write_dataset
from mmreid.engine import ReIDRunner

METRICS = ('mAP', 'Rank-1')
NUMBERS = ('loss', 'acc', 'emb_dist')  # the last is 0 when all embeddings are the same
LAST = 20  # iterations at the end of which the numbers are kept


def draw_people(folder: Path, seed: int) -> Path:
    """Draws the people of a seed, or finds them."""
    plan = MarketPlan(**PLAN)
    write_dataset(folder, plan.make_world(domain='default', seed=seed, **WORLD), plan)
    return folder


class StepWatch(Hook):
    """Takes the processor time of every iteration, its data included, and what it logs."""

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.steps: list[dict[str, float]] = []

    def before_train_epoch(self, runner: ReIDRunner) -> None:
        """Starts the clock."""
        self.last = time.process_time()

    def after_train_iter(self, runner: ReIDRunner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Takes the time."""
        now = time.process_time()
        self.seconds.append(now - self.last)
        self.last = now
        self.steps.append({name: float(outputs[name].detach()) for name in NUMBERS})


def measure(work_dir: Path, row: Row, root: Path) -> dict:
    """Times iterations of a row.

    Args:
        work_dir (Path): Where the run goes.
        row (Row): What to train.
        root (Path): The people.

    Returns:
        dict: ``ms``, the median, in milliseconds of the processor, and ``parameters`` of the backbone.
    """
    runner, watch = build(small_config(row, root, None, 0, TIMED), work_dir), StepWatch()
    runner.register_hook(watch)
    runner.train()
    parameters = sum(parameter.numel() for parameter in runner.model.backbone.parameters())
    return dict(ms=1000 * median(watch.seconds[SETTLING:]), parameters=parameters)


def train(work_dir: Path, row: Row, root: Path, weights: Path | None, seed: int, iterations: int) -> dict:
    """Trains a row and tests both of its embeddings.

    Args:
        work_dir (Path): Where the run goes.
        row (Row): What to train.
        root (Path): The people.
        weights (Path, optional): The warm start.
        seed (int): Seed.
        iterations (int): Length of the training.

    Returns:
        dict: The metrics in percent; those of the embedding ``before`` the batch norm; ``iterations``;
        ``train_seconds`` of the processor; ``last``, the mean of ``NUMBERS`` at the end. For a backbone also those of
        the network ``untrained``.
    """
    runner, watch = build(small_config(row, root, weights, seed, iterations), work_dir), StepWatch()
    runner.register_hook(watch)
    runner.train()
    after = short(runner.test())
    runner.model.test_feat = 'before'
    before = short(runner.test())
    last = {name: mean(step[name] for step in watch.steps[-LAST:]) for name in NUMBERS}
    counts = dict(iterations=len(watch.steps), train_seconds=sum(watch.seconds))
    found = dict(after, before=before, last=last, **counts)
    if row.backbone:
        found['untrained'] = short(build(test_only(small_config(row, root, None, seed)), work_dir / 'untrained').test())
    return found


def floors(work_dir: Path, root: Path, weights: Path | None, seed: int) -> dict:
    """Tests what has learned nothing about these people."""
    return measure_floors(
        work_dir, lambda start: small_config(BASELINE, root, start, seed), weights, WORLD['size'], short, seed
    )


def short(metrics: dict[str, float]) -> dict[str, float]:
    """Keeps the metrics of the tables."""
    return {name: float(metrics[f'procedural/{name}']) for name in METRICS}
