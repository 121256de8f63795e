# Copyright (c) mmreid contributors. All rights reserved.
"""What grouping the images costs before an epoch, beside the obvious way with tables of all images against all.

Each measurement has a process of its own on one thread, so memory is its own: the highest resident size while
grouping, above that with the features in place. Times are processor times. A few images are grouped first, which loads
libraries and compiled loops. Finished measurements are lines of ``cost.jsonl``; the same command goes on after them.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from math import log
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from claims.peak_memory import PeakMemory  # noqa: E402
from claims.reid_features import People  # noqa: E402
from claims.results import Results, settings_hash, table, write_section  # noqa: E402
from claims.runs import ROOT, ensure_environment, folder_name, once  # noqa: E402

from mmreid.evaluation.clustering import JaccardDBSCAN, SelfPacedDBSCAN  # noqa: E402
from mmreid.evaluation.clustering.quality import rate_clusters  # noqa: E402
from mmreid.models import CosineMatcher  # noqa: E402
from mmreid.utils.one_line_errors import one_line_errors  # noqa: E402

SETTINGS = dict(eps=0.6, min_samples=4, k1=30, k2=6)  # published
DIMS, SEED = 256, 0
SIZES = [1_000, 3_000, 10_000, 30_000, 100_000]
WARM_UP = 200  # images that are grouped first
DENSE_UP_TO = 10_000  # images; its tables of 100,000 would take 80 GB each
DENSE = 'dense NumPy'
Way = Callable[[np.ndarray], np.ndarray]


def dense(features: np.ndarray) -> np.ndarray:
    """Groups images the obvious way: sorts all similarities, and holds tables of all images against all."""
    from sklearn.cluster import DBSCAN

    k1, k2 = SETTINGS['k1'], SETTINGS['k2']
    num = len(features)
    distances = np.clip(2 - 2 * features @ features.T, 0, None)
    lists = np.argsort(distances, axis=1, kind='stable')
    own, brought = ([_mutual(lists[:, :length], i) for i in range(num)] for length in (k1, round(k1 / 2) + 1))
    encodings = np.zeros_like(distances)
    for i, mine in enumerate(own):
        more = [brought[j] for j in mine if 3 * np.isin(brought[j], mine).sum() > 2 * len(brought[j])]
        members = np.unique(np.concatenate([mine, *more]))
        weights = np.exp(-distances[i, members])
        encodings[i, members] = weights / weights.sum()
    encodings = np.stack([encodings[near[:k2]].mean(0) for near in lists])
    holders = [np.flatnonzero(column) for column in encodings.T]
    for i in range(num):
        shared = np.zeros(num, np.float32)
        for j in np.flatnonzero(encodings[i]):
            shared[holders[j]] += np.minimum(encodings[i, j], encodings[holders[j], j])
        distances[i] = np.clip(1 - shared / (2 - shared), 0, None)
    found = DBSCAN(eps=SETTINGS['eps'], min_samples=SETTINGS['min_samples'], metric='precomputed').fit(distances)
    return found.labels_


def _mutual(lists: np.ndarray, i: int) -> np.ndarray:
    """Gives the images in the list of one that have it in their own list."""
    return lists[i][(lists[lists[i]] == i).any(1)]


def _ours(kind: type) -> Way:
    return lambda features: kind(**SETTINGS)(torch.from_numpy(features), CosineMatcher(), 0)


WAYS: dict[str, Way] = {
    'JaccardDBSCAN': _ours(JaccardDBSCAN),
    'SelfPacedDBSCAN': _ours(SelfPacedDBSCAN),
    DENSE: dense,
}


def measure(way: str, size: int, warm_up: int = WARM_UP) -> dict:
    """Groups images once; gives ``seconds`` of the processor, ``mb`` at most, ``clusters``, and how good they are."""
    features, people, _ = People(size, DIMS, SEED).images(size, SEED + 1)
    WAYS[way](People(warm_up, DIMS, SEED).images(warm_up, SEED + 1)[0])
    with PeakMemory() as memory:
        start = time.process_time()
        labels = WAYS[way](features)
        seconds = time.process_time() - start
    rates = rate_clusters(labels.astype(np.int64), people)
    kept = {name: rates[name] for name in ('precision', 'recall') if name in rates}
    return dict(kept, seconds=seconds, mb=memory.megabytes, clusters=int(labels.max()) + 1)


def report(lines: list[dict]) -> str:
    """Makes the table; growth is the exponent between a size and the one before."""
    text = [['images', 'by', 'processor seconds', 'growth', 'memory, MB', 'clusters', 'precision, %', 'recall, %']]
    last: dict[str, dict] = {}
    for line in sorted(lines, key=lambda line: (line['size'], list(WAYS).index(line['way']))):
        before, growth = last.get(line['way']), ''
        if before:
            growth = f'{log(line["seconds"] / before["seconds"]) / log(line["size"] / before["size"]):.1f}'
        last[line['way']] = line
        rates = [f'{line[name]:.0f}' if name in line else '' for name in ('precision', 'recall')]
        cells = [f'{line["seconds"]:.2f}', growth, f'{line["mb"]:.0f}', f'{line["clusters"]:,}', *rates]
        text.append([f'{line["size"]:,}', line['way'], *cells])
    return table(text)


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--sizes', type=int, nargs='*', default=SIZES, help='images; 10^3 to 10^5 by default')
    parser.add_argument('--ways', nargs='+', choices=WAYS, default=list(WAYS), help='only these')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs/clustering_cost', help='for everything')
    parser.add_argument('--readme', action='store_true', help='also write the table into the README')
    return parser.parse_args()


def main() -> None:
    """Measures what is missing, and prints the table."""
    args = parse_args()
    work_dir = args.work_dir.absolute()
    work_dir.mkdir(parents=True, exist_ok=True)
    results = Results(work_dir / 'cost.jsonl', settings_hash(SETTINGS, DIMS, SEED, WARM_UP))
    for size in args.sizes:
        for way in args.ways:
            if way != DENSE or size <= DENSE_UP_TO:
                name = f'{way} {size}'
                log_file = work_dir / f'{folder_name(name)}.log'
                done = once(results, SEED, name, partial(measure, way, size), log_file, way=way, size=size)
                print(f'{name}: {done["seconds"]:.2f} s, {done["mb"]:.0f} MB', flush=True)
    text = report(results.lines)
    print(text)
    if args.readme:
        write_section(Path(__file__).with_name('README.md'), 'cost', text)


if __name__ == '__main__':
    ensure_environment()
    with one_line_errors():
        main()
