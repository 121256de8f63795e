# Copyright (c) mmreid contributors. All rights reserved.
"""Measures ranking against its floor, the matrix product alone; one process per size, so that memory is its own.

Floor: ``torch.mm(out=)`` of the same features in the same blocks on all threads, interleaved with ranking in one
process; the best run of each counts. Memory is the highest resident size while ranking, above that with the features
in place.
"""

import argparse
import multiprocessing
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from terminaltables import AsciiTable

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from claims.peak_memory import PeakMemory  # noqa: E402

from mmreid.evaluation import rank_features  # noqa: E402
from mmreid.evaluation.functional.ranking import MAX_ROWS, MEMORY  # noqa: E402
from mmreid.models import CosineMatcher, EuclideanMatcher  # noqa: E402

# Queries, gallery images, distractors among them, identities, cameras.
SIZES = {
    'tenth': (336, 1_591, 280, 75, 6),
    'market': (3_368, 15_913, 2_798, 750, 6),
    'half queries': (1_684, 15_913, 2_798, 750, 6),
    'half gallery': (3_368, 7_956, 1_399, 750, 6),
    'msmt17': (11_659, 82_161, 0, 3_060, 15),
    'distractors': (3_368, 515_913, 502_798, 750, 6),
}
MATCHERS = {'cosine': CosineMatcher, 'euclidean': EuclideanMatcher}


def make(size: str, dim: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Draws features around one center per identity, so that retrieval is neither perfect nor hopeless.

    Args:
        size (str): Key of SIZES.
        dim (int): Length of a feature.

    Returns:
        tuple[list[torch.Tensor], list[torch.Tensor]]: Features of query and gallery; ``q_pids, q_camids, g_pids,
        g_camids``.
    """
    num_query, num_gallery, num_distractors, num_ids, num_cameras = SIZES[size]
    torch.manual_seed(0)
    centers = torch.randn(num_ids + 1, dim)
    feats, labels = [], []
    for count, strangers in ((num_query, 0), (num_gallery, num_distractors)):
        pids = torch.randint(1, num_ids + 1, (count,))
        pids[torch.randperm(count)[:strangers]] = 0  # distractors
        part = torch.empty(count, dim)
        for start in range(0, count, 4096):
            chunk = part[start : start + 4096]
            chunk.normal_().mul_(4).add_(centers[pids[start : start + 4096]])
        feats.append(part)
        labels += [pids, torch.randint(0, num_cameras, (count,))]
    return feats, labels


def product(q_feats: torch.Tensor, g_feats: torch.Tensor, rows: int) -> None:
    """Multiplies, block by block, and does nothing with the results: the floor."""
    out = torch.empty(rows, len(g_feats))
    for start in range(0, len(q_feats), rows):
        block = q_feats[start : start + rows]
        torch.mm(block, g_feats.t(), out=out[: len(block)])


def plain_numpy(q_feats, g_feats, q_pids, q_camids, g_pids, g_camids) -> float:
    """Computes mAP the obvious way: the whole score matrix, one sorted row per query."""
    q_feats, g_feats, q_pids, q_camids, g_pids, g_camids = (
        x.numpy() for x in (q_feats, g_feats, q_pids, q_camids, g_pids, g_camids)
    )
    q_feats = q_feats / np.linalg.norm(q_feats, axis=1, keepdims=True)
    g_feats = g_feats / np.linalg.norm(g_feats, axis=1, keepdims=True)
    scores = q_feats @ g_feats.T
    aps = []
    for i, row in enumerate(scores):
        order = np.argsort(-row, kind='stable')
        same = g_pids[order] == q_pids[i]
        match = same[~(same & (g_camids[order] == q_camids[i]))]
        ranks = np.flatnonzero(match) + 1
        if len(ranks):
            aps.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    return float(np.mean(aps))


def seconds(function, *args) -> np.ndarray:
    """Times one call: seconds on the clock, and of all processors."""
    start = np.array([time.perf_counter(), time.process_time()])
    function(*args)
    return np.array([time.perf_counter(), time.process_time()]) - start


def measure(
    size: str, dim: int, repeats: int, matcher: str, reference: bool, threads: int, half: bool, results
) -> None:
    """Measures one size and puts a row of the table into a queue."""
    torch.set_num_threads(threads)
    (q_feats, g_feats), labels = make(size, dim)

    def ours() -> None:
        results_of.append(rank_features(q_feats, g_feats, MATCHERS[matcher](), *labels))

    if half:
        q_feats, g_feats = q_feats.half(), g_feats.half()
    results_of: list = []
    rows = min(MAX_ROWS, MEMORY // (4 * len(g_feats)))
    load = os.getloadavg()[0]
    with PeakMemory() as memory:  # the first call, which also loads the compiled loops
        first = seconds(ours)[0]
    floors, times = [], []
    for _ in range(repeats):
        floors.append(seconds(product, *((q_feats.float(), g_feats.float()) if half else (q_feats, g_feats)), rows))
        times.append(seconds(ours))
    plain = '-'
    if reference:
        values: list[float] = []
        plain = f'{seconds(lambda: values.append(plain_numpy(q_feats, g_feats, *labels)))[0]:.2f}'
        assert matcher != 'cosine' or abs(values[0] - results_of[-1].mean_ap) < 1e-6, (values, results_of[-1].mean_ap)
    (floor, floor_cpu), (best, best_cpu) = np.min(floors, 0), np.min(times, 0)
    flops = 2 * len(q_feats) * len(g_feats) * dim / floor / 1e9
    results.put(
        [
            size,
            matcher,
            f'{(q_feats.nbytes + g_feats.nbytes) / 2**20:.0f}',
            f'{len(q_feats):,} x {len(g_feats):,}',
            f'{floor:.2f} ({flops:.0f} GFLOP/s)',
            f'{best:.2f}',
            f'{best / floor:.3f}',
            f'{best_cpu / floor_cpu:.3f}',
            f'{first:.2f}',
            f'{memory.megabytes:.0f}',
            f'{memory.peak / 2**10:.0f}',
            plain,
            f'{results_of[-1].mean_ap:.4f}',
            f'{load:.1f}',
        ]
    )


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sizes', nargs='+', default=['market', 'half queries', 'half gallery'], choices=SIZES)
    parser.add_argument('--matchers', nargs='+', default=['cosine'], choices=MATCHERS)
    parser.add_argument('--dim', type=int, default=2048)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--half', action='store_true', help='features in float16; the product is that of float32')
    parser.add_argument('--no-reference', action='store_true', help='leave out plain NumPy, which needs much memory')
    args = parser.parse_args()
    header = ['size', 'matcher', 'features, MB', 'queries x gallery']
    header += ['product, s', 'ranking, s', 'ratio', 'ratio of CPU time']
    table = [[*header, 'first call, s', 'memory, MB', 'whole process, MB', 'plain NumPy, s', 'mAP', 'load before']]
    context = multiprocessing.get_context('spawn')
    for size in args.sizes:
        for matcher in args.matchers:
            queue = context.Queue()
            reference = not args.no_reference and not args.half and SIZES[size][0] * SIZES[size][1] < 2e8
            arguments = (size, args.dim, args.repeats, matcher, reference, args.threads, args.half, queue)
            process = context.Process(target=measure, args=arguments)
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f'error: measuring {size} failed with exit status {process.exitcode}')
            table.append(queue.get())
            print(AsciiTable([table[0], table[-1]]).table, flush=True)
    print(AsciiTable(table).table)


if __name__ == '__main__':
    main()
