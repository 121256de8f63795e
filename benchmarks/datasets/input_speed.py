# Copyright (c) mmreid contributors. All rights reserved.
"""Measures how fast one worker reads and augments images, beside torchvision and Pillow doing the same.

Times are CPU times of the process, which has one thread, so that other work on the machine counts little.
"""

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np
import torch
import torchvision.transforms as tv
from PIL import Image
from terminaltables import AsciiTable
from torch.utils.data import Dataset, default_collate

from mmreid.datasets import BaseReIDDataset, reid_collate
from mmreid.datasets.synthetic import World
from mmreid.models.utils import ReIDDataPreprocessor
from mmreid.utils.config import load_config

CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/market1501.py'
SIZES = ((128, 64), (256, 128), (400, 150))  # Market-1501, the size of the network, typical for MSMT17
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Images(BaseReIDDataset):
    """All JPEG files of a folder."""

    def parse(self) -> list[dict]:
        """Gives four images to each identity."""
        files = sorted(Path(self.data_root).glob('*.jpg'))
        return [dict(img_path=str(file), pid=i // 4, camid=i % 4, split='train') for i, file in enumerate(files)]


class PillowImages(Dataset):
    """The same images by Pillow and torchvision, with the transforms of the shipped configs."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob('*.jpg'))
        self.steps = [
            tv.Resize((256, 128), antialias=True),
            tv.RandomHorizontalFlip(0.5),
            tv.Pad(10),
            tv.RandomCrop((256, 128)),
            tv.ToTensor(),
            tv.Normalize(MEAN, STD),
            tv.RandomErasing(0.5, scale=(0.02, 0.4), ratio=(0.3, 10 / 3), value=0),
        ]

    def load(self, index: int) -> Image.Image:
        """Decodes an image."""
        with Image.open(self.files[index]) as image:
            return image.convert('RGB')

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int, int]:
        image = self.load(index)
        for step in self.steps:
            image = step(image)
        return image, index // 4, index % 4


def write_images(folder: Path, size: tuple[int, int], count: int) -> None:
    """Draws procedural people.

    Args:
        folder (Path): Where to.
        size (tuple[int, int]): Height and width in pixels.
        count (int): Number of images.
    """
    world = World(seed=0, cameras=4, size=size)
    folder.mkdir()
    for index in range(count):
        pid, camid = 1 + index // 4, index % 4
        (folder / f'{index:04d}.jpg').write_bytes(world.encode(world.render(pid, camid, 0), camid))


def seconds(work: Callable[[], object]) -> float:
    """Times a piece of work that starts from the same random numbers each time.

    Args:
        work (Callable): The work.

    Returns:
        float: Seconds of CPU time.
    """
    np.random.seed(0)
    torch.manual_seed(0)
    start = time.process_time()
    work()
    return time.process_time() - start


def ratio_row(name: str, ours: Callable, theirs: Callable, count: int, repeats: int) -> list[str]:
    """Times two ways of the same work in turns.

    Args:
        name (str): First entry of the row.
        ours (Callable): One way.
        theirs (Callable): The other.
        count (int): Images that each call handles.
        repeats (int): Number of turns.

    Returns:
        list[str]: Median images per second of both; the median, least and largest ratio of a turn.
    """
    seconds(ours), seconds(theirs)
    turns = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    ratios = sorted(other / own for own, other in turns)
    speeds = [f'{count / statistics.median(column):,.0f}' for column in zip(*turns, strict=True)]
    return [name, *speeds, f'{statistics.median(ratios):.2f}', f'{ratios[0]:.2f}..{ratios[-1]:.2f}']


def stage_times(steps: Sequence[tuple[str, Callable]], count: int, repeats: int) -> list[tuple[str, float]]:
    """Times the stages of a pipeline.

    Args:
        steps (Sequence[tuple[str, Callable]]): Names and stages; the first one takes an index.
        count (int): Number of images.
        repeats (int): Rounds over all images.

    Returns:
        list[tuple[str, float]]: Names and median milliseconds per image.
    """
    rounds = np.zeros((repeats, len(steps)))
    for times in rounds:
        for index in range(count):
            value = index
            for number, (_, step) in enumerate(steps):
                start = time.process_time()
                value = step(value)
                times[number] += time.process_time() - start
    medians = np.median(rounds, axis=0) / count * 1000
    return [(name, value) for (name, _), value in zip(steps, medians.tolist(), strict=True)]


def peak_memory(work: Callable[[], object]) -> float:
    """Runs a piece of work in a process of its own, forked from this one, which should not have done it before.

    Args:
        work (Callable): The work.

    Returns:
        float: By how many MiB the process grew at most.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def run() -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        work()
        sender.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)

    process = multiprocessing.get_context('fork').Process(target=run)
    process.start()
    grown = receiver.recv()
    process.join()
    return grown


class Contest:
    """Both ways to read the images of a folder.

    Args:
        folder (Path): The folder, named like the size of its images.
    """

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.ours = Images(str(folder), pipeline=load_config(str(CONFIG)).train_pipeline)
        self.theirs = PillowImages(folder)
        self.count = len(self.theirs)
        self.preprocessor = ReIDDataPreprocessor()

    def our_samples(self) -> list:
        """Reads and augments by mmreid; the result is of 8 bits."""
        return [self.ours[index] for index in range(self.count)]

    def their_samples(self) -> list:
        """Reads, augments and normalizes by torchvision and Pillow."""
        return [self.theirs[index] for index in range(self.count)]

    def our_batch(self) -> dict:
        """Collates and normalizes, which is the device's work in a training, on the CPU."""
        return self.preprocessor(reid_collate(self.our_samples()), training=True)

    def their_batch(self) -> list[torch.Tensor]:
        """Collates what is normalized already."""
        return default_collate(self.their_samples())

    def memory(self) -> list[str]:
        """Gives a row: growth of a worker of ours, with normalization, and of theirs."""
        works = (lambda: reid_collate(self.our_samples()), self.our_batch, self.their_batch)
        return [self.name, *(f'{peak_memory(work):.0f}' for work in works)]

    def speed(self, repeats: int) -> list[list[str]]:
        """Gives two rows: samples, and batches of normalized floats."""
        pairs = dict(samples=(self.our_samples, self.their_samples), floats=(self.our_batch, self.their_batch))
        return [ratio_row(f'{self.name} {name}', *pair, self.count, repeats) for name, pair in pairs.items()]

    def stages(self, repeats: int) -> list[list[str]]:
        """Gives a row for each stage, ours beside theirs."""
        own = [('record', self.ours.get_data_info)]
        own += [(type(step).__name__, step) for step in self.ours.pipeline.transforms]
        other = [('open and convert', self.theirs.load)]
        other += [(type(step).__name__, step) for step in self.theirs.steps]
        pairs = zip_longest(*(stage_times(steps, self.count, repeats) for steps in (own, other)), fillvalue=('', 0.0))
        return [[self.name, *(text for name, value in pair for text in (name, f'{value:.3f}'))] for pair in pairs]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--count', type=int, default=64, help='images, also the size of the batch')
    parser.add_argument('--repeats', type=int, default=15, help='turns; medians are printed')
    args = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as root:
        contests = []
        for size in SIZES:
            folder = Path(root) / '{}x{}'.format(*size)
            write_images(folder, size, args.count)
            contests.append(Contest(folder))
        memory = [contest.memory() for contest in contests]  # first, while this process has no memory to reuse
        speeds = [row for contest in contests for row in contest.speed(args.repeats)]
        stages = [row for contest in contests for row in contest.stages(args.repeats)]
    print('one process, one thread, images per second of CPU time')
    print(AsciiTable([['source, result', 'mmreid, images/s', 'Pillow, images/s', 'ratio', 'range'], *speeds]).table)
    print('milliseconds per image')
    print(AsciiTable([['source', 'mmreid', 'ms', 'torchvision, Pillow', 'ms'], *stages]).table)
    print(f'MiB by which a process grows that makes one batch of {args.count}')
    print(AsciiTable([['source', 'mmreid', 'mmreid, normalized on the CPU', 'Pillow'], *memory]).table)


if __name__ == '__main__':
    main()
