# Copyright (c) mmreid contributors. All rights reserved.
"""The floor below all others: random features."""

from collections.abc import Callable
from pathlib import Path
from statistics import mean

import torch

from mmreid.engine.runners import evaluate_features
from mmreid.utils.checkpoint import load_checkpoint_file


def random_floor(
    path: Path, evaluators: list[dict], keep: Callable[[dict], dict[str, float]], seed: int, repeats: int = 5
) -> dict[str, float]:
    """Tests random features in the place of saved ones; removes the file.

    Args:
        path (Path): What ``save_features`` wrote.
        evaluators (list[dict]): Configs of the metrics, one for each test set.
        keep (Callable[[dict], dict[str, float]]): Chooses and names the metrics.
        seed (int): Of the features.
        repeats (int): Draws. Defaults to 5.

    Returns:
        dict[str, float]: The mean of each metric over the draws.
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
    return {name: mean(result[name] for result in results) for name in results[0]}
