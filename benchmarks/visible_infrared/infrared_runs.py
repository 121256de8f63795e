# Copyright (c) mmreid contributors. All rights reserved.
"""Trains and tests a row, and tests the floors."""

from functools import partial
from pathlib import Path

from claims import infrared_worlds
from claims.infrared_worlds import test_average
from claims.runs import build
from claims.training_clock import TrainingClock
from infrared_configs import ROWS, Row, small_config


def train(work_dir: Path, row: Row, roots: Path, weights: Path | None, seed: int) -> dict:
    """Trains a row from the warm start and tests it.

    Args:
        work_dir (Path): Where the run goes.
        row (Row): What to train.
        roots (Path): The people.
        weights (Path, optional): The warm start.
        seed (int): Seed.

    Returns:
        dict: The metrics in percent, and ``train_seconds`` of the processor.
    """
    cfg, clock = small_config(row, roots, weights, seed), TrainingClock()
    runner = build(cfg, work_dir)
    runner.register_hook(clock)
    runner.train()
    return dict(test_average(cfg, work_dir), train_seconds=clock.seconds)


def floors(work_dir: Path, roots: Path, weights: Path | None, seed: int) -> dict:
    """Tests what has learned nothing about these people."""
    return infrared_worlds.floors(work_dir, partial(small_config, ROWS[0], roots, seed=seed), weights, seed)
