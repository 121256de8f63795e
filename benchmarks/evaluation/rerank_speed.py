# Copyright (c) mmreid contributors. All rights reserved.
"""Measures k-reciprocal re-ranking against its floor, the product of all images with all; one process per size.

Floor: ``torch.mm(out=)`` of queries and gallery together with themselves, in the same blocks on all threads,
interleaved with re-ranking in one process; the best run of each counts. Re-ranking includes reading all re-ranked
scores. Memory is the highest resident size meanwhile, above that with the features in place.
"""

import argparse
import multiprocessing
import os

import numpy as np
import torch
from ranking_speed import SIZES, PeakMemory, make, product, seconds
from terminaltables import AsciiTable

from mmreid.evaluation import RetrievalSet
from mmreid.evaluation.functional import FeatureScores, rank
from mmreid.evaluation.functional.nearest import MAX_ROWS, MEMORY
from mmreid.evaluation.postprocessing import KReciprocalRerank
from mmreid.models import CosineMatcher

SIZES['third'] = (1_123, 5_304, 933, 250, 6)


def rerank_all(q_feats: torch.Tensor, g_feats: torch.Tensor, rows: int):
    """Re-ranks and reads all scores; gives the scores, block by block."""
    sets = [RetrievalSet(None, torch.zeros(len(feats)), feats) for feats in (q_feats, g_feats)]
    scores = KReciprocalRerank()(*sets, CosineMatcher())
    for start in range(0, len(q_feats), rows):
        scores.rows(slice(start, min(start + rows, len(q_feats))))
    return scores


def plain_numpy(q_feats: torch.Tensor, g_feats: torch.Tensor, k1: int = 20, k2: int = 6, weight: float = 0.3):
    """Re-ranks the obvious way, with matrices of all images against all."""
    feats = torch.nn.functional.normalize(torch.cat([q_feats, g_feats])).numpy()
    num, num_query = len(feats), len(q_feats)
    dist = np.clip(1 - feats @ feats.T, 0, None) ** 2
    dist /= dist.max(1, keepdims=True)
    lists = np.argsort(dist, axis=1, kind='stable')
    mutual = {}
    for k in (k1, round(k1 / 2)):
        near = lists[:, : k + 1]
        mutual[k] = [near[i][(near[near[i]] == i).any(1)] for i in range(num)]
    encodings = np.zeros_like(dist)
    for i in range(num):
        members = [mutual[k1][i]]
        for j in mutual[k1][i]:
            brought = mutual[round(k1 / 2)][j]
            if 3 * np.isin(brought, mutual[k1][i]).sum() > 2 * len(brought):
                members.append(brought)
        members = np.unique(np.concatenate(members))
        weights = np.exp(-dist[i, members])
        encodings[i, members] = weights / weights.sum()
    encodings = np.stack([encodings[near[:k2]].mean(0) for near in lists])
    holders = [np.flatnonzero(column) for column in encodings[num_query:].T]
    final = weight * dist[:num_query, num_query:]
    for i in range(num_query):
        overlap = np.zeros(num - num_query, np.float32)
        for j in np.flatnonzero(encodings[i]):
            overlap[holders[j]] += np.minimum(encodings[i, j], encodings[num_query + holders[j], j])
        final[i] += (1 - weight) * (1 - overlap / (2 - overlap))
    return -torch.from_numpy(final)


def measure(size: str, dim: int, repeats: int, reference: bool, threads: int, results) -> None:
    """Measures one size and puts a row of the table into a queue."""
    torch.set_num_threads(threads)
    (q_feats, g_feats), labels = make(size, dim)
    num = len(q_feats) + len(g_feats)
    rows = min(MAX_ROWS, MEMORY // (4 * num))
    load, outcome = os.getloadavg()[0], []
    with PeakMemory() as memory:  # the first call, which also loads the compiled loops
        first = seconds(lambda: outcome.append(rerank_all(q_feats, g_feats, rows)))[0]
    before = rank(FeatureScores(q_feats, g_feats, CosineMatcher()), *labels).mean_ap
    after = rank(outcome[0], *labels).mean_ap
    plain = '-'
    if reference:
        plain = f'{seconds(lambda: outcome.append(plain_numpy(q_feats, g_feats)))[0]:.2f}'
        reference_ap = rank(outcome.pop(), *labels).mean_ap
        assert abs(reference_ap - after) < 1e-5, (reference_ap, after)
    feats = torch.cat([q_feats, g_feats])
    floors, times = [], []
    for _ in range(repeats):
        floors.append(seconds(product, feats, feats, rows))
        times.append(seconds(rerank_all, q_feats, g_feats, rows))
    (floor, floor_cpu), (best, best_cpu) = np.min(floors, 0), np.min(times, 0)
    results.put(
        [
            size,
            f'{len(q_feats):,} + {len(g_feats):,}',
            f'{floor:.2f} ({2 * num * num * dim / floor / 1e9:.0f} GFLOP/s)',
            f'{best:.2f}',
            f'{best / floor:.2f}',
            f'{best_cpu / floor_cpu:.2f}',
            f'{1.3 * floor + 3:.2f}',
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
    parser.add_argument('--dim', type=int, default=2048)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--reference-up-to', type=int, default=7_000, help='images up to which plain NumPy runs too')
    args = parser.parse_args()
    header = ['size', 'queries + gallery', 'product of all, s', 're-ranking, s', 'ratio', 'ratio of CPU time']
    header += ['1.3 x product + 3', 'first call, s', 'memory, MB', 'plain NumPy, s', 'mAP', 'load before']
    table = [header]
    context = multiprocessing.get_context('spawn')
    for size in args.sizes:
        queue = context.Queue()
        reference = SIZES[size][0] + SIZES[size][1] <= args.reference_up_to
        arguments = (size, args.dim, args.repeats, reference, args.threads, queue)
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
