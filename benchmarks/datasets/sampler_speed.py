# Copyright (c) mmreid contributors. All rights reserved.
"""Measures building and walking the batch samplers, from the size of Market-1501 to far beyond it.

``plain`` is what the others are compared with: P x K with a dictionary of lists in plain Python, as many toolboxes do
it. All samplers take turns, so that other work on the machine hits them alike.
"""

import argparse
import random
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np
from mmengine.dataset import DefaultSampler
from terminaltables import AsciiTable

from mmreid.datasets import (
    CrossModalityInstanceSampler,
    DomainBalancedIdentitySampler,
    IdentityBatchSampler,
    MultiDomainBatchSampler,
    RandomIdentitySampler,
)

SIZES = ((12_936, 751), (32_621, 1_041), (132_145, 8_000), (1_000_000, 100_000))
BATCH_SIZE = 64


class Images:
    """Labels, modalities and domains of images that do not exist: 4 domains, half of the images infrared."""

    def __init__(self, num_images: int, num_classes: int) -> None:
        rng = np.random.default_rng(0)
        sure = np.tile(np.arange(num_classes), 2)
        labels = np.concatenate([sure, rng.integers(0, num_classes, num_images - len(sure))])
        infrared = np.concatenate([np.arange(2).repeat(num_classes), rng.integers(0, 2, num_images - len(sure))])
        order = np.argsort(labels, kind='stable')
        self.gt_labels = self.pids = labels[order]
        self.modalities = np.array(['visible', 'infrared'])[infrared[order]]
        self.domains = self.gt_labels * 4 // num_classes

    def __len__(self) -> int:
        return len(self.gt_labels)


class PlainSampler:
    """P x K from a dictionary of lists; every list is shuffled and used up before it is filled again."""

    def __init__(self, labels: np.ndarray, num_instances: int = 4) -> None:
        self.images = defaultdict(list)
        for index, label in enumerate(labels.tolist()):
            self.images[label].append(index)
        self.labels = list(self.images)
        self.num_instances = num_instances
        self.length = len(labels) // BATCH_SIZE

    def __iter__(self) -> Iterator[list[int]]:
        rng = random.Random(0)
        left = {label: rng.sample(images, len(images)) for label, images in self.images.items()}
        for _ in range(self.length):
            batch = []
            for label in rng.sample(self.labels, BATCH_SIZE // self.num_instances):
                while len(left[label]) < self.num_instances:
                    images = self.images[label]
                    left[label] += rng.sample(images, len(images))
                batch += left[label][: self.num_instances]
                del left[label][: self.num_instances]
            yield batch


def multi_domain(data: Images) -> MultiDomainBatchSampler:
    """Builds a sampler of half P x K of one domain, half random images of the others."""
    half = BATCH_SIZE // 2
    parts = [
        dict(domain=0, batch_size=half, sampler=dict(type='mmreid.RandomIdentitySampler')),
        dict(domain=[1, 2, 3], batch_size=half),
    ]
    return MultiDomainBatchSampler(DefaultSampler(data, seed=0), BATCH_SIZE, parts)


SAMPLERS: dict[str, Callable] = {
    'plain': lambda data: PlainSampler(data.gt_labels),
    'P x K': lambda data: IdentityBatchSampler(RandomIdentitySampler(data, seed=0), BATCH_SIZE),
    'cross-modality': lambda data: IdentityBatchSampler(
        RandomIdentitySampler(data, seed=0), BATCH_SIZE, instance_sampler=CrossModalityInstanceSampler(4)
    ),
    'domain-balanced': lambda data: IdentityBatchSampler(DomainBalancedIdentitySampler(data, seed=0), BATCH_SIZE),
    'multi-domain': multi_domain,
}


def measure(build: Callable, data: Images) -> tuple[float, float]:
    """Builds a sampler and walks one epoch.

    Args:
        build (Callable): Makes the sampler from the data.
        data (Images): The data.

    Returns:
        tuple[float, float]: Seconds to build; indices per second of an epoch.
    """
    start = time.perf_counter()
    sampler = build(data)
    built = time.perf_counter() - start
    start = time.perf_counter()
    count = sum(len(batch) for batch in sampler)
    return built, count / (time.perf_counter() - start)


def peak_megabytes(build: Callable, data: Images) -> float:
    """Measures the most memory that building and an epoch take, the data not counted."""
    tracemalloc.start()
    measure(build, data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--repeats', type=int, default=5, help='rounds; the table shows medians')
    repeats = parser.parse_args().repeats
    rows = [['images', 'identities', 'sampler', 'build, s', 'indices per second', 'against plain', 'peak, MiB']]
    for num_images, num_classes in SIZES:
        data = Images(num_images, num_classes)
        rounds = [{name: measure(build, data) for name, build in SAMPLERS.items()} for _ in range(repeats)]
        for name, build in SAMPLERS.items():
            speeds = [each[name][1] for each in rounds]
            ratio = median(each[name][1] / each['plain'][1] for each in rounds)
            rows.append(
                [
                    f'{num_images:,}',
                    f'{num_classes:,}',
                    name,
                    f'{median(each[name][0] for each in rounds):.3f}',
                    f'{median(speeds):,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})',
                    f'{ratio:.1f} x',
                    f'{peak_megabytes(build, data):.0f}',
                ]
            )
    print(AsciiTable(rows).table)


if __name__ == '__main__':
    main()
