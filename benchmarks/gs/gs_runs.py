# Copyright (c) mmreid contributors. All rights reserved.
"""Draws the people, trains and tests a row, tests the floors, and watches batches and time."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from claims.floors import measure_floors
from claims.runs import build
from claims.training_clock import TrainingClock
from gs_configs import DOMAINS, GS, PLAN, WORLD, Row, resized, small_config
from mmengine.config import Config

from mmreid.datasets.synthetic import MarketPlan, World, write_dataset
from mmreid.engine import ReIDRunner
from mmreid.models.matchers import QAConvMatcher

METRICS = ('mAP', 'Rank-1')
NUMBERS = ('loss', 'emb_dist', 'active_triplets')


def make_world(
    domain: str, seed: int, size: tuple[int, int], world: dict = WORLD, classes: int = PLAN['train_ids']
) -> tuple[World, MarketPlan]:
    """Sets the people of a domain up; only the first domain has training people, as many as there are classes."""
    plan = MarketPlan(**PLAN | dict(train_ids=classes if domain == DOMAINS[0] else 1))
    return plan.make_world(domain=domain, seed=seed, size=size, **world), plan


def draw_people(
    folder: Path, seed: int, size: tuple[int, int], world: dict = WORLD, classes: int = PLAN['train_ids']
) -> dict[str, Path]:
    """Draws the people of a seed, or finds them; returns the folder of each domain."""
    for domain in DOMAINS:
        write_dataset(folder / domain, *make_world(domain, seed, size, world, classes))
    return {domain: folder / domain for domain in DOMAINS}


class BatchWatch(TrainingClock):
    """Takes the processor time of training and graphs, and looks for near-duplicates in batches.

    Args:
        cluster_of (Callable[[int], list[int]]): The near-duplicates of a pid.
    """

    def __init__(self, cluster_of: Callable[[int], list[int]]) -> None:
        super().__init__()
        self.cluster_of = cluster_of
        self.epochs: list[dict] = []

    def before_train_epoch(self, runner: ReIDRunner) -> None:
        """Starts the clock."""
        super().before_train_epoch(runner)
        self.batches: list[dict] = []

    def after_train_iter(self, runner: ReIDRunner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Looks at a batch."""
        pids = runner.train_dataloader.dataset.pids[[sample.sample_idx for sample in data_batch['data_samples']]]
        numbers = {name: float(outputs[name].detach()) for name in NUMBERS if name in outputs}
        self.batches.append(dict(numbers, doubles=doubles(pids, self.cluster_of)))

    def after_train_epoch(self, runner: ReIDRunner) -> None:
        """Stops the clock."""
        super().after_train_epoch(runner)
        means = {name: float(np.mean([batch[name] for batch in self.batches])) for name in self.batches[0]}
        self.epochs.append(dict(means, iterations=len(self.batches), seconds=self.seconds))
        matcher = runner.model.matcher
        if isinstance(matcher, QAConvMatcher):
            self.epochs[-1]['scale'] = float(matcher.logit_bn.weight.detach())

    def after_val_epoch(self, runner: ReIDRunner, metrics: dict[str, float]) -> None:
        """Keeps what the epoch has reached."""
        self.epochs[-1].update(short(metrics, DOMAINS[0]))


def doubles(pids: np.ndarray, cluster_of: Callable[[int], list[int]]) -> float:
    """Gives the percentage of identities that meet a near-duplicate of theirs in a batch."""
    present = set(pids.tolist())
    return 100 * sum(len(present.intersection(cluster_of(pid))) > 1 for pid in present) / len(present)


def train(work_dir: Path, row: Row, roots: dict[str, Path], weights: Path, seed: int, epoch: int | None = None) -> dict:
    """Trains a row and tests it in all domains.

    Args:
        work_dir (Path): Where the run goes.
        row (Row): What to train.
        roots (dict[str, Path]): The people of each domain.
        weights (Path): The warm start.
        seed (int): Seed.
        epoch (int, optional): Iterations of an epoch; those of the row by default.

    Returns:
        dict: Domain to its metrics in percent; ``train_seconds``; ``epochs``, see :class:`BatchWatch`.
    """
    cfg = small_config(row, roots, weights, seed, epoch)
    if not row.steady:
        cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
        cfg.train_cfg.pop('val_interval')
    found = watched(cfg, make_world(DOMAINS[0], seed, row.size)[0], work_dir)
    remove_checkpoints(work_dir)
    return found


def watched(cfg: Config, world: World, work_dir: Path) -> dict:
    """Trains a config on the people of a world and tests it in all domains, see :func:`train`."""
    for hook in cfg.custom_hooks:
        if hook['type'] == 'GraphSamplingHook':  # prepares images as testing does
            hook['pipeline'] = cfg.test_dataloader[0].dataset.pipeline
    runner = build(cfg, work_dir)
    watch = BatchWatch(world.people.cluster_of)
    runner.register_hook(watch)
    runner.train()
    metrics = runner.test()
    return dict(all_domains(metrics), train_seconds=watch.seconds, epochs=watch.epochs)


def remove_checkpoints(work_dir: Path) -> None:
    """Removes what nobody needs after the test."""
    for checkpoint in work_dir.glob('*.pth'):
        checkpoint.unlink()


def floors(work_dir: Path, roots: dict[str, Path], weights: Path, seed: int, size: tuple[int, int]) -> dict:
    """Tests what has learned nothing about these people."""
    untrained = partial(floor_config, roots, seed=seed, size=size)
    return measure_floors(work_dir, untrained, weights, size, all_domains, seed)


def floor_config(roots: dict[str, Path], start: Path | None, *, seed: int, size: tuple[int, int]) -> Config:
    """Gives the config of plain vectors, on images of this size."""
    cfg = small_config(GS, roots, start, seed)
    for loader in cfg.test_dataloader:
        loader.dataset.pipeline = resized(loader.dataset.pipeline, size)
    return cfg


def all_domains(metrics: dict[str, float]) -> dict[str, dict[str, float]]:
    """Keeps the metrics of the tables, by domain."""
    return {domain: short(metrics, domain) for domain in DOMAINS}


def short(metrics: dict[str, float], domain: str) -> dict[str, float]:
    """Keeps the metrics of the tables, of one test set."""
    return {name: float(metrics[f'{domain}/{name}']) for name in METRICS}
