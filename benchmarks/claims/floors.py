# Copyright (c) mmreid contributors. All rights reserved.
"""What a network has to beat: random features, raw pixels, and networks that were not trained on these people."""

from collections.abc import Callable
from pathlib import Path
from statistics import mean

import torch
from claims.runs import build
from mmengine.config import Config

from mmreid.engine.runners import evaluate_features, save_features
from mmreid.utils.checkpoint import load_checkpoint_file

FLOORS = ('random features', 'raw pixels', 'untrained network', 'warm start, not trained on')


def measure_floors(
    work_dir: Path,
    untrained: Callable[[Path | None], Config],
    weights: Path | None,
    size: tuple[int, int],
    keep: Callable[[dict], dict],
    seed: int,
) -> dict[str, dict]:
    """Tests ``FLOORS``.

    Args:
        work_dir (Path): Where the tests go.
        untrained (Callable[[Path | None], Config]): Gives the config of a run that starts from these weights.
        weights (Path, optional): The warm start.
        size (tuple[int, int]): Height and width of the pixels that are compared.
        keep (Callable[[dict], dict]): Chooses and names the metrics; see :func:`random_floor`.
        seed (int): Of the random features.

    Returns:
        dict[str, dict]: The metrics of each floor.
    """
    pixels = untrained(None)
    pixels.model = dict(type='PixelReID', size=size)
    runner = build(test_only(pixels), work_dir / 'raw-pixels')
    found = {'raw pixels': keep(runner.test())}
    save_features(work_dir / 'pixels.pth', runner)
    evaluators = pixels.test_evaluator if isinstance(pixels.test_evaluator, list) else [pixels.test_evaluator]
    sets = pixels.test_dataloader if isinstance(pixels.test_dataloader, list) else [pixels.test_dataloader]
    found['random features'] = random_floor(
        work_dir / 'pixels.pth', evaluators * (len(sets) // len(evaluators)), keep, seed
    )
    for name, start in (('untrained network', None), ('warm start, not trained on', weights)):
        found[name] = keep(build(test_only(untrained(start)), work_dir / name.replace(' ', '-')).test())
    return found


def test_only(cfg: Config) -> Config:
    """Takes the training out of a config."""
    for section in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
        cfg[section] = None
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.custom_hooks = []
    return cfg


def random_floor(
    path: Path, evaluators: list[dict], keep: Callable[[dict], dict], seed: int, repeats: int = 5
) -> dict[str, float] | dict[str, dict]:
    """Tests random features in the place of saved ones; removes the file.

    Args:
        path (Path): What ``save_features`` wrote.
        evaluators (list[dict]): Configs of the metrics, one for each test set.
        keep (Callable[[dict], dict]): Chooses and names the metrics, which may be grouped.
        seed (int): Of the features.
        repeats (int): Draws. Defaults to 5.

    Returns:
        dict[str, float] | dict[str, dict]: The mean of each metric over the draws, grouped as they are.
    """
    content = load_checkpoint_file(path)
    generator, drawn, results = torch.Generator().manual_seed(seed), path.with_name('random.pth'), []
    for _ in range(repeats):
        for test_set in content['test_sets']:
            for side in ('query', 'gallery'):
                images = test_set[side]
                images['feature'] = torch.randn(len(images['feature']), 128, generator=generator)
        torch.save(content, drawn)
        results.append(keep(evaluate_features(drawn, evaluators)[0]))
    for file in (path, drawn):
        file.unlink()
    return _mean(results)


def _mean(results: list[dict] | list[float]) -> dict | float:
    if not isinstance(results[0], dict):
        return mean(results)
    return {name: _mean([result[name] for result in results]) for name in results[0]}
