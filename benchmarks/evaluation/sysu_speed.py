# Copyright (c) mmreid contributors. All rights reserved.
"""Measures SYSUMetric at the size of SYSU-MM01, from collected features to values, with the product as its floor.

Floor: ``torch.mm(out=)`` of all queries and all visible images, once, on all threads, which serves all trials.
``plain`` is the same ten trials in NumPy, in the way of the published code: one product and one sort per trial. On a
busy machine look at the processor time, with ``--threads 1``, as idle threads wait actively.
"""

import argparse
import os
import time

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as tools/test.py does

import numpy as np
import torch
from terminaltables import AsciiTable

from mmreid.evaluation import RetrievalSet, RetrievalTask, SYSUMetric
from mmreid.evaluation.functional.ranking import MAX_ROWS
from mmreid.models import CosineMatcher

NUM_IDS, NUM_QUERY, PER_GROUP = 96, 3_803, 22
# Identities 56 to 95 were seen outdoors only; each visible camera misses some, so that a trial has 301 images.
IDS_OF_CAMERA = {0: range(56), 1: range(56), 3: range(1, 96), 4: range(2, 96)}
SEEN = [(pid, camid) for camid, ids in IDS_OF_CAMERA.items() for pid in ids]


def make(dim: int) -> tuple[RetrievalSet, RetrievalSet]:
    """Draws features around one center per identity.

    Args:
        dim (int): Length of a feature.

    Returns:
        tuple[RetrievalSet, RetrievalSet]: Query and gallery.
    """
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(NUM_IDS, dim, generator=generator)
    q_pids = torch.randint(0, NUM_IDS, (NUM_QUERY,), generator=generator)
    groups = torch.tensor(sorted(SEEN)).repeat_interleave(PER_GROUP, 0)
    q_camids = torch.tensor([2, 5])[torch.randint(0, 2, (NUM_QUERY,), generator=generator)]
    sets = []
    for pids, camids, modality in ((q_pids, q_camids, 'infrared'), (groups[:, 0], groups[:, 1], 'visible')):
        feature = centers[pids] + 5 * torch.randn(len(pids), dim, generator=generator)
        names = [f'{modality} {i}' for i in range(len(pids))]
        labels = dict(img_path=names, modality=[modality] * len(pids), sample_idx=list(range(len(pids))))
        sets.append(RetrievalSet(pids, camids, feature, **labels))
    return sets[0], sets[1]


def product(query: RetrievalSet, gallery: RetrievalSet) -> None:
    """Multiplies in the blocks of the ranking: the floor."""
    q_feats, g_feats = query.feature, gallery.feature
    out = torch.empty(MAX_ROWS, len(g_feats))
    for start in range(0, len(q_feats), MAX_ROWS):
        block = q_feats[start : start + MAX_ROWS]
        torch.mm(block, g_feats.t(), out=out[: len(block)])


def plain_numpy(task: RetrievalTask) -> float:
    """Computes mAP the obvious way, trial by trial."""
    q_feats, g_feats = (
        images.feature.numpy() / images.feature.norm(dim=1, keepdim=True).numpy()
        for images in (task.query, task.gallery)
    )
    labels = (task.query.pid, task.query.camid, task.gallery.pid, task.gallery.camid)
    q_pids, q_camids, g_pids, g_camids = (values.numpy() for values in labels)
    values = []
    for drawn in task.galleries['all-multi']:
        scores = q_feats @ g_feats[drawn.numpy()].T
        order = np.argsort(-scores, axis=1, kind='stable')
        aps = []
        for i, places in enumerate(drawn.numpy()[order]):
            if q_camids[i] == 2:
                places = places[g_camids[places] != 1]
            ranks = np.flatnonzero(g_pids[places] == q_pids[i]) + 1
            if len(ranks):
                aps.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
        values.append(np.mean(aps))
    return 100 * float(np.mean(values))


def seconds(function, *args) -> np.ndarray:
    """Times one call: seconds on the clock, and of all processors."""
    start = np.array([time.perf_counter(), time.process_time()])
    function(*args)
    return np.array([time.perf_counter(), time.process_time()]) - start


def main() -> None:
    """Measures and prints one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--dim', type=int, default=2048)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    query, gallery = make(args.dim)
    rows = []
    for options in (dict(shot=10), dict(shot=1), dict(mode=('all', 'indoor'), shot=(1, 10))):
        metric = SYSUMetric(**options)
        metric.matcher = CosineMatcher()
        first = seconds(metric.compute_metrics, (query, gallery))[0]  # loads the compiled loops as well
        times = [
            (seconds(product, query, gallery), seconds(metric.compute_metrics, (query, gallery)))
            for _ in range(args.repeats)
        ]
        (floor, floor_cpu), (best, best_cpu) = np.min(times, 0)
        plain = '-'
        if options == dict(shot=10):
            plain_values: list[float] = []
            (task,) = metric.tasks(query, gallery)
            plain = f'{seconds(lambda task=task, found=plain_values: found.append(plain_numpy(task)))[0]:.1f}'
            assert abs(plain_values[0] - np.mean(metric.details['reid/all-multi/mAP_trials'])) < 1e-4, plain_values
        sizes = {len(trials[0]) for (task,) in [metric.tasks(query, gallery)] for trials in task.galleries.values()}
        name = ', '.join(f'{key}={value}' for key, value in options.items())
        values = [f'{value:.2f}' for value in (floor, floor_cpu, first, best, best_cpu)]
        rows.append([name, ' / '.join(map(str, sorted(sizes))), *values, plain])
    load = f'{os.getloadavg()[0]:.1f}'
    title = f'{NUM_QUERY} x {len(gallery)} x {args.dim}, {args.threads} threads, load {load}, seconds'
    header = ['10 trials of', 'gallery', 'floor', 'its cpu', 'first run', 'best run', 'its cpu', 'plain']
    print(AsciiTable([header, *rows], title).table)


if __name__ == '__main__':
    main()
