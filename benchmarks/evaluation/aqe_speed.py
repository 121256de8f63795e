# Copyright (c) mmreid contributors. All rights reserved.
"""Measures query expansion against its floor, the product of all images with all; one process per size.

Floor, repeats and memory as in ``rerank_speed.py``. With ``--sides query`` the floor is the product of the queries with
the gallery.
"""

import argparse
import multiprocessing
import os

import numpy as np
import torch
from ranking_speed import SIZES, PeakMemory, make, product, seconds
from terminaltables import AsciiTable

from mmreid.evaluation.functional import expand_queries, rank_features
from mmreid.evaluation.functional.nearest import MAX_ROWS, MEMORY
from mmreid.models import CosineMatcher

SIZES['third'] = (1_123, 5_304, 933, 250, 6)


def plain_numpy(q_feats: torch.Tensor, g_feats: torch.Tensor, k: int, alpha: float) -> torch.Tensor:
    """Expands queries and gallery the obvious way, with the matrix of all images against all."""
    feats = torch.cat([q_feats, g_feats]).numpy()
    unit = feats / np.linalg.norm(feats, axis=1, keepdims=True)
    similarity = unit @ unit.T
    new = []
    for row in similarity:
        near = np.argsort(-row, kind='stable')[:k]
        new.append((np.clip(row[near], 0, None)[:, None] ** alpha * feats[near]).mean(0))
    return torch.from_numpy(np.stack(new))


def measure(size: str, sides: str, args: argparse.Namespace, results) -> None:
    """Measures one size and puts a row of the table into a queue."""
    torch.set_num_threads(args.threads)
    (q_feats, g_feats), labels = make(size, args.dim)
    num = len(q_feats) + len(g_feats)
    load, outcome = os.getloadavg()[0], []

    def ours() -> None:
        outcome[:] = expand_queries(q_feats, g_feats, args.k, args.alpha, sides=sides)

    with PeakMemory() as memory:  # the first call, which also loads the compiled loops
        first = seconds(ours)[0]
    plain = '-'
    if sides == 'both' and num <= args.reference_up_to:
        wanted = []
        plain = f'{seconds(lambda: wanted.append(plain_numpy(q_feats, g_feats, args.k, args.alpha)))[0]:.2f}'
        assert (torch.cat(outcome) - wanted[0]).abs().max() < 1e-4
    before, after = (
        rank_features(q, g, CosineMatcher(), *labels).mean_ap for q, g in ((q_feats, g_feats), tuple(outcome))
    )
    pair = (q_feats, g_feats) if sides == 'query' else (torch.cat([q_feats, g_feats]),) * 2
    rows = min(MAX_ROWS, MEMORY // (4 * len(pair[1])))
    floors, times = [], []
    for _ in range(args.repeats):
        floors.append(seconds(product, *pair, rows))
        times.append(seconds(ours))
    (floor, floor_cpu), (best, best_cpu) = np.min(floors, 0), np.min(times, 0)
    flops = 2 * len(pair[0]) * len(pair[1]) * args.dim / floor / 1e9
    results.put(
        [
            size,
            sides,
            f'{len(q_feats):,} + {len(g_feats):,}',
            f'{floor:.2f} ({flops:.0f} GFLOP/s)',
            f'{best:.2f}',
            f'{best / floor:.2f}',
            f'{best_cpu / floor_cpu:.2f}',
            f'{first:.2f}',
            f'{memory.megabytes:.0f}',
            plain,
            f'{before:.4f} -> {after:.4f}',
            f'{load:.1f}',
        ]
    )


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sizes', nargs='+', default=['tenth', 'third', 'market'], choices=SIZES)
    parser.add_argument('--sides', nargs='+', default=['both', 'query'], choices=['both', 'query'])
    parser.add_argument('--k', type=int, default=10)
    parser.add_argument('--alpha', type=float, default=3.0)
    parser.add_argument('--dim', type=int, default=2048)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--reference-up-to', type=int, default=7_000, help='images up to which plain NumPy runs too')
    args = parser.parse_args()
    header = ['size', 'expanded', 'queries + gallery', 'product, s', 'expansion, s', 'ratio', 'ratio of CPU time']
    table = [[*header, 'first call, s', 'memory, MB', 'plain NumPy, s', 'mAP', 'load before']]
    context = multiprocessing.get_context('spawn')
    for size in args.sizes:
        for sides in args.sides:
            queue = context.Queue()
            process = context.Process(target=measure, args=(size, sides, args, queue))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f'error: measuring {size} failed with exit status {process.exitcode}')
            table.append(queue.get())
            print(AsciiTable([table[0], table[-1]]).table, flush=True)
    print(AsciiTable(table).table)


if __name__ == '__main__':
    main()
