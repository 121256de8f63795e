# Copyright (c) mmreid contributors. All rights reserved.
"""Draws the people, trains and tests a row, tests the floors, and rates clusters."""

from pathlib import Path

import numpy as np
from claims.floors import measure_floors
from claims.runs import build
from claims.training_clock import TrainingClock
from unsupervised_configs import SOURCE, SOURCE_ONLY, SOURCE_PLAN, TARGET, TARGET_PLAN, WORLD, Row, small_config

from mmreid.datasets.synthetic import MarketPlan, write_dataset
from mmreid.engine import ReIDRunner
from mmreid.engine.hooks.pseudo_label_access import contrast_memory, unlabeled_images
from mmreid.evaluation.clustering.quality import rate_clusters

METRICS = ('mAP', 'Rank-1')


def draw_people(folder: Path, seed: int) -> dict[str, Path]:
    """Draws the people of a seed, or finds them; returns the folder of each domain."""
    for name, world, plan in (
        ('source', SOURCE, MarketPlan(**SOURCE_PLAN)),
        ('target', TARGET, MarketPlan(**TARGET_PLAN)),
    ):
        write_dataset(folder / name, plan.make_world(seed=seed, **WORLD, **world), plan)
    return dict(source=folder / 'source', target=folder / 'target')


class ClusterWatch(TrainingClock):
    """Takes the processor time of training, and compares the clusters of each epoch with the true identities."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[dict[str, float]] = []

    def after_train_epoch(self, runner: ReIDRunner) -> None:
        """Stops the clock and rates the clusters."""
        super().after_train_epoch(runner)
        dataset = runner.train_dataloader.dataset
        self.epochs.append(rated(contrast_memory(runner).labels.numpy(), dataset.pids[unlabeled_images(dataset)]))


def rated(labels: np.ndarray, pids: np.ndarray) -> dict[str, float]:
    """Rates pseudo labels (N,), -1 for none: how many clusters, of how many images, with which precision and recall."""
    counts = np.bincount(labels[labels >= 0])
    rates = rate_clusters(labels, pids)
    kept = {name: rates[name] for name in ('precision', 'recall') if name in rates}
    return dict(kept, clusters=int((counts > 1).sum()), grouped=int(counts[counts > 1].sum()))


def train(work_dir: Path, row: Row, roots: dict[str, Path], weights: Path | None, seed: int) -> dict:
    """Trains a row and tests it on the target.

    Args:
        work_dir (Path): Where the run goes.
        row (Row): What to train.
        roots (dict[str, Path]): See :func:`draw_people`.
        weights (Path, optional): The warm start.
        seed (int): Seed.

    Returns:
        dict: The metrics in percent; ``train_seconds``; with pseudo labels ``epochs``, see :func:`rated`.
    """
    runner = build(small_config(row, roots, weights, seed), work_dir)
    watch = ClusterWatch() if row.clusters else TrainingClock()
    runner.register_hook(watch)
    runner.train()
    epochs = dict(epochs=watch.epochs) if row.clusters else {}
    return dict(short(runner.test()), train_seconds=watch.seconds, **epochs)


def floors(work_dir: Path, roots: dict[str, Path], weights: Path | None, seed: int) -> dict:
    """Tests what has learned nothing about these people."""
    return measure_floors(
        work_dir, lambda start: small_config(SOURCE_ONLY, roots, start, seed), weights, WORLD['size'], short, seed
    )


def short(metrics: dict[str, float]) -> dict[str, float]:
    """Keeps the metrics of the tables."""
    return {name: float(metrics[f'procedural/{name}']) for name in METRICS}
