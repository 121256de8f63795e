# Copyright (c) mmreid contributors. All rights reserved.
"""Measures how fast one core draws, photographs and encodes procedural people."""

import argparse
import time

import cv2
from terminaltables import AsciiTable

from mmreid.datasets.synthetic import DOMAINS, World


def images_per_second(domain: str, size: tuple[int, int], seconds: float) -> float:
    """Renders different people through four cameras for a while.

    Args:
        domain (str): Domain of the world.
        size (tuple[int, int]): Height and width in pixels.
        seconds (float): How long to measure, after the backdrops have been painted.

    Returns:
        float: Images per second, JPEG encoding included.
    """
    world = World(seed=0, domain=domain, cameras=4, size=size)
    for camid in range(4):
        world.encode(world.render(1, camid, 0), camid)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        pid, camid = divmod(count, 4)
        world.encode(world.render(1 + pid, camid, 0), camid)
        count += 1
    return count / (time.perf_counter() - start)


def main() -> None:
    """Prints a table of domains and sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=5, help='per entry')
    args = parser.parse_args()
    cv2.setNumThreads(0)
    rows = [['domain', '128x64', '256x128']]
    for domain in DOMAINS:
        speeds = [images_per_second(domain, size, args.seconds) for size in ((128, 64), (256, 128))]
        rows.append([domain, *(f'{speed:.0f}' for speed in speeds)])
    print('images per second on one core')
    print(AsciiTable(rows).table)


if __name__ == '__main__':
    main()
