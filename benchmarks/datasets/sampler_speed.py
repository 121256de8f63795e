# Copyright (c) mmreid contributors. All rights reserved.
"""Measures building and walking the P x K batch sampler at the size of Market-1501 and far beyond."""

import time
from types import SimpleNamespace

import numpy as np
from terminaltables import AsciiTable

from mmreid.datasets import IdentityBatchSampler, RandomClassChooser


def measure(num_images: int, num_classes: int, batch_size: int = 64) -> tuple[float, float]:
    """Builds a sampler and walks one epoch.

    Args:
        num_images (int): Images of the data set.
        num_classes (int): Its identities.
        batch_size (int): Images per batch.

    Returns:
        tuple[float, float]: Seconds to build; indices per second of an epoch.
    """
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, num_images - num_classes)])
    dataset = SimpleNamespace(gt_labels=np.sort(labels))
    start = time.perf_counter()
    sampler = IdentityBatchSampler(RandomClassChooser(dataset, seed=0), batch_size)
    built = time.perf_counter() - start
    start = time.perf_counter()
    count = sum(len(batch) for batch in sampler)
    return built, count / (time.perf_counter() - start)


def main() -> None:
    """Prints a table."""
    rows = [['images', 'identities', 'build, s', 'indices per second']]
    for num_images, num_classes in ((12_936, 751), (32_621, 1_041), (132_145, 8_000), (1_000_000, 100_000)):
        built, speed = measure(num_images, num_classes)
        rows.append([f'{num_images:,}', f'{num_classes:,}', f'{built:.3f}', f'{speed:,.0f}'])
    print(AsciiTable(rows).table)


if __name__ == '__main__':
    main()
