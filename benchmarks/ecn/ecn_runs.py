# Copyright (c) mmreid contributors. All rights reserved.
"""Draws the people, makes camera-style images, trains and tests a row, tests the floors, and watches neighbors."""

import importlib.util
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from claims.floors import measure_floors
from claims.runs import ROOT, build
from claims.training_clock import TrainingClock
from ecn_configs import E_C_N, SIZE, START, Row, Setting, gan_config, small_config
from true_slots import TrueSlots

from mmreid.datasets import Market1501, SourceTargetDataset
from mmreid.datasets.synthetic import DukePlan, MarketPlan, write_dataset
from mmreid.datasets.transforms import LoadColorStyleImage
from mmreid.engine import ReIDRunner
from mmreid.models.memories import ExemplarMemory, GraphPositivePrediction

METRICS = ('mAP', 'Rank-1')
START_FILE = 'start.weights'  # not .pth, which is removed after the test
NEIGHBORS = 5  # published are 6, the own slot included


def draw_people(folder: Path, seed: int, setting: Setting) -> dict[str, Path]:
    """Draws the people of a seed, or finds them; returns the folder of each domain, and that of generated styles."""
    source, source_plan, target, target_plan = setting.worlds
    for name, plan, world in (
        ('source', DukePlan(**source_plan), source),
        ('target', MarketPlan(**target_plan), target),
    ):
        write_dataset(folder / name, plan.make_world(seed=seed, size=SIZE, **world), plan)
    return dict(source=folder / 'source', target=folder / 'target', generated=folder / 'generated')


def make_styles(work_dir: Path, roots: dict[str, Path], seed: int) -> dict:
    """Trains the camera-style network on the target and renders its training images in all styles.

    Args:
        work_dir (Path): Where the run goes.
        roots (dict[str, Path]): See :func:`draw_people`.
        seed (int): Seed.

    Returns:
        dict: ``train_seconds`` of the network, and ``distances``, see :func:`style_distances`.
    """
    cfg, start = gan_config(roots['target'], seed), time.process_time()
    build(cfg, work_dir).train()
    seconds, path = time.process_time() - start, work_dir / 'small_config.py'
    cfg.dump(path)
    checkpoint = Path((work_dir / 'last_checkpoint').read_text().strip())
    words = [path, checkpoint, '--out', roots['generated'], '--workers', 0, '--threads', 1, '--device', 'cpu']
    spec = importlib.util.spec_from_file_location('generate', ROOT / 'tools/camstyle/generate.py')
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    generate.main([str(word) for word in words])
    checkpoint.unlink()
    return dict(train_seconds=seconds, distances=style_distances(roots))


def style_distances(roots: dict[str, Path]) -> dict[str, float]:
    """Compares styles with what the other camera would have taken.

    Args:
        roots (dict[str, Path]): See :func:`draw_people`.

    Returns:
        dict[str, float]: Mean difference of pixels in gray levels: of the image as it is (``unchanged``), of that with
        the other camera's color statistics (``color``), and of the generated one (``generated``).
    """
    dataset = Market1501(str(roots['target']), split='train')
    records = [dataset.get_data_info(index) for index in range(len(dataset))]
    color = LoadColorStyleImage()
    color.prepare(records)
    differences: dict[str, list[float]] = dict(unchanged=[], color=[], generated=[])
    for record in records:
        path = Path(record['img_path'])
        image, own = cv2.imread(str(path)), record['camid']
        for other in sorted({*dataset.camids.tolist()} - {own}):
            drawn = cv2.imread(f'{path.parent}_camstyle/{path.stem}_fake_{own + 1}to{other + 1}.jpg')
            made = cv2.imread(str(roots['generated'] / f'{path.stem}_fake_{other + 1}.jpg'))
            for name, style in (
                ('unchanged', image),
                ('color', color._moved(image, own, other)),
                ('generated', made),
            ):
                differences[name].append(float(cv2.absdiff(style, drawn).mean()))
    return {name: float(np.mean(values)) for name, values in differences.items()}


class NeighborWatch(TrainingClock):
    """Takes the processor time of training, and looks whom the slots of the target have for neighbors.

    Identities of the target are read here, and by neighbors that cheat.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[dict[str, float]] = []

    def before_train(self, runner: ReIDRunner) -> None:
        """Tells neighbors that cheat who is who."""
        head = runner.model.head
        if head.memory is not None and isinstance(head.neighbors, TrueSlots):
            head.neighbors.pids = target_people(runner.train_dataloader.dataset)[0]

    def before_train_epoch(self, runner: ReIDRunner) -> None:
        """Starts the clock."""
        super().before_train_epoch(runner)
        self.numbers = []

    def after_train_iter(self, runner: ReIDRunner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Keeps the losses."""
        self.numbers.append({name: float(value.detach()) for name, value in outputs.items() if torch.is_tensor(value)})

    def after_train_epoch(self, runner: ReIDRunner) -> None:
        """Stops the clock and looks into the memory."""
        super().after_train_epoch(runner)
        names = {name for numbers in self.numbers for name in numbers}
        means = {name: float(np.mean([row[name] for row in self.numbers if name in row])) for name in sorted(names)}
        self.epochs.append(dict(means, **neighbor_precision(runner)))


def target_people(dataset: SourceTargetDataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Gives identity and camera of each target image, both of shape (S,), in the order of the slots."""
    target = dataset.domains == dataset.target_domain
    pids, camids = (torch.from_numpy(np.asarray(values)[target]) for values in (dataset.pids, dataset.camids))
    return pids, camids


@torch.no_grad()
def neighbor_precision(runner: ReIDRunner) -> dict[str, float]:
    """Says how many of the nearest slots show the same person, of those by other cameras too, in percent.

    With learned neighbors also the precision of what they choose, and how many that is for an image.
    """
    head = runner.model.head
    if not isinstance(head.memory, ExemplarMemory):
        return {}
    pids, camids = target_people(runner.train_dataloader.dataset)
    features, own = head.memory.features, torch.arange(len(pids))
    likeness = (features @ features.t()).fill_diagonal_(-2)
    near = likeness.topk(NEIGHBORS, dim=1).indices
    same, other = pids[near] == pids[:, None], camids[near] != camids[:, None]
    found = dict(precision=100 * same.float().mean().item(), other_camera=100 * (same & other).float().mean().item())
    invariance = head.invariance
    found['used'] = (
        bool(invariance.neighbors) and not invariance.waiting and invariance.epoch >= invariance._first_epoch()
    )
    if isinstance(head.neighbors, GraphPositivePrediction):
        chosen, weights = head.neighbors.choose(head.memory.compare(features), own, features)
        taken, true = weights > 0, pids[chosen] == pids[:, None]
        found['chosen'] = taken.sum(1).float().mean().item()
        if taken.any():
            found['chosen_precision'] = 100 * true[taken].float().mean().item()
    return found


def train(work_dir: Path, row: Row, roots: dict[str, Path], weights: Path | None, seed: int) -> dict:
    """Trains a row and tests it on the target.

    Args:
        work_dir (Path): Where the run goes.
        row (Row): What to train.
        roots (dict[str, Path]): See :func:`draw_people`.
        weights (Path, optional): The warm start.
        seed (int): Seed.

    Returns:
        dict: The metrics in percent; ``train_seconds``; ``epochs``, see :class:`NeighborWatch`.
    """
    runner, watch = build(small_config(row, roots, weights, seed), work_dir), NeighborWatch()
    runner.register_hook(watch)
    runner.train()
    metrics = short(runner.test())
    if row is START:
        torch.save(dict(state_dict=runner.model.state_dict()), work_dir / START_FILE)
    for checkpoint in work_dir.glob('*.pth'):
        checkpoint.unlink()
    return dict(metrics, train_seconds=watch.seconds, epochs=watch.epochs)


def floors(work_dir: Path, roots: dict[str, Path], weights: Path | None, seed: int) -> dict:
    """Tests what has learned nothing about these people."""
    return measure_floors(work_dir, lambda start: small_config(E_C_N, roots, start, seed), weights, SIZE, short, seed)


def short(metrics: dict[str, float]) -> dict[str, float]:
    """Keeps the metrics of the tables."""
    return {name: float(metrics[f'market1501/{name}']) for name in METRICS}
