# Copyright (c) mmreid contributors. All rights reserved.
"""Measures temporal lifting of a score matrix, beside the plain formula; one process per size.

Scores, cameras and times are drawn at random; the times of all cameras span ``--hours``. Memory is the highest resident
size meanwhile, above that with scores and result in place. The plain formula handles one query and camera after the
other; of large sizes it does the first ``--plain-queries`` queries only, and the time of all is extrapolated.
"""

import argparse
import multiprocessing
import os

import numpy as np
import torch
from ranking_speed import SIZES, PeakMemory, seconds
from terminaltables import AsciiTable

from mmreid.evaluation.functional import tlift


def make(size: str, hours: float) -> tuple[torch.Tensor, ...]:
    """Draws scores, cameras and times (seconds, at 25 frames a second) of query and gallery."""
    num_query, num_gallery, *_, num_cameras = SIZES[size]
    generator = torch.Generator().manual_seed(0)
    labels = []
    for count in (num_query, num_gallery):
        labels.append(torch.randint(0, num_cameras, (count,), generator=generator))
        labels.append(torch.randint(0, int(hours * 3600 * 25), (count,), generator=generator) / 25)
    return torch.rand(num_query, num_gallery, generator=generator), *labels


def plain_numpy(scores, q_camids, q_times, g_camids, g_times, queries: int) -> np.ndarray:
    """Lifts the scores of the first queries the obvious way."""
    scores, q_camids, q_times, g_camids, g_times = (x.numpy() for x in (scores, q_camids, q_times, g_camids, g_times))
    lifted = np.empty_like(scores[:queries])
    for i in range(queries):
        near = (q_camids == q_camids[i]) & (np.abs(q_times - q_times[i]) < 100)
        for camera in np.unique(g_camids):
            columns = np.flatnonzero(g_camids == camera)
            pool = scores[np.ix_(near, columns)]
            worst = np.partition(pool, -10, axis=None)[-10]
            times = g_times[columns]
            pivots = times[np.nonzero(pool >= worst)[1]]
            weights = np.exp(-(((times[:, None] - pivots) / 200) ** 2)).mean(1)
            lifted[i, columns] = (weights + 0.2) * scores[i, columns]
    return lifted


def measure(size: str, hours: float, repeats: int, plain_queries: int, threads: int, results) -> None:
    """Measures one size and puts a row of the table into a queue."""
    torch.set_num_threads(threads)
    data = make(size, hours)
    load, outcome = os.getloadavg()[0], []
    with PeakMemory() as memory:
        first = seconds(lambda: outcome.append(tlift(*data)))[0]
    lifted = outcome.pop()
    own = memory.megabytes - lifted.nbytes / 2**20
    count = min(plain_queries, len(lifted))
    plain = seconds(lambda: outcome.append(plain_numpy(*data, count)))[0] * len(lifted) / count
    worst = np.abs(outcome.pop() - lifted[:count].numpy()).max()
    assert worst < 1e-5, worst
    best, cpu = np.min([seconds(tlift, *data) for _ in range(repeats)], 0)
    shape = f'{len(lifted):,} x {lifted.shape[1]:,}'
    results.put(
        [size, shape, threads, f'{best:.2f}', f'{cpu:.2f}', f'{first:.2f}', f'{own:.0f}', f'{plain:.1f}', f'{load:.1f}']
    )


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sizes', nargs='+', default=['tenth', 'half queries', 'market'], choices=SIZES)
    parser.add_argument('--hours', type=float, default=1.5)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--plain-queries', type=int, default=200)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    args = parser.parse_args()
    table = [['size', 'queries x gallery', 'threads', 'TLift, s', 'CPU s', 'first call, s', 'memory, MB']]
    table[0] += ['plain NumPy, s', 'load before']
    context = multiprocessing.get_context('spawn')
    for size in args.sizes:
        queue = context.Queue()
        arguments = (size, args.hours, args.repeats, args.plain_queries, args.threads, queue)
        process = context.Process(target=measure, args=arguments)
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f'error: measuring {size} failed with exit status {process.exitcode}')
        table.append(queue.get())
    print(AsciiTable(table).table)


if __name__ == '__main__':
    main()
