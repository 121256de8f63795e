# Copyright (c) mmreid contributors. All rights reserved.
"""Galleries of several sizes: exact search, HNSW and IVF, beside faiss alone and plain NumPy; and kills.

All ways of searching take turns query by query. Latency is given as wall time and as time of the processor: on a busy
machine, whatever takes longer than a slice of time waits for others, so there only the second compares. Memory is that
of a fresh process after ten searches. Ends with an error if an answer of exact search differs from NumPy's, or an
acknowledged entry is lost.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import faiss
import numpy as np
import torch
from kills import kill_writers
from terminaltables import AsciiTable

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from claims.reid_features import People  # noqa: E402

from mmreid.apis import Gallery  # noqa: E402
from mmreid.apis.gallery.approximate_index import KINDS  # noqa: E402

TOPK, BATCH = 10, 64
Search = Callable[[np.ndarray], np.ndarray]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sizes', type=int, nargs='+', default=[10_000, 100_000], help='entries; default 10^4, 10^5')
    parser.add_argument('--dims', type=int, default=512)
    parser.add_argument('--queries', type=int, default=200, help='single queries, 200 by default')
    parser.add_argument('--batches', type=int, default=10, help=f'batches of {BATCH}, 10 by default')
    parser.add_argument('--kinds', nargs='*', choices=KINDS, default=list(KINDS), help='indexes to build')
    parser.add_argument('--kills', type=int, default=20, help='writers to kill, 20 by default')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--folder', type=Path, help='where to work; a temporary folder by default')
    parser.add_argument('--out', type=Path, help='JSON file to write')
    parser.add_argument('--memory-of', help=argparse.SUPPRESS)  # what a fresh process is started with
    return parser.parse_args(argv)


def by_numpy(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """The plain way: all products, then the largest."""
    scores = query @ vectors.T
    best = np.argpartition(scores, -TOPK, axis=1)[:, -TOPK:]
    return np.take_along_axis(best, np.take_along_axis(scores, best, 1).argsort(1)[:, ::-1], 1)


def by_gallery(gallery: Gallery, query: np.ndarray) -> np.ndarray:
    """Answers of a gallery as places, counted from 0."""
    return np.array([[answer.entry.key - 1 for answer in row] for row in gallery.search(query, TOPK)])


def latencies(ways: dict[str, Search], queries: Sequence[np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Milliseconds of wall and processor time of each query, all ways in turn; the first query warms up."""
    times: dict[str, list] = {name: [] for name in ways}
    for query in [queries[0], *queries]:
        for name, search in ways.items():
            wall, processor = time.perf_counter(), time.process_time()
            search(query)
            times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {name: tuple(1000 * np.array(rows[1:]).T) for name, rows in times.items()}


def memory_of(place: Path, dims: int) -> dict[str, float]:
    """Megabytes of this process after ten searches: its own, and mapped files."""
    with Gallery.open(place) as gallery:
        for query in np.random.default_rng(0).normal(size=(10, 1, dims)):
            gallery.search(query, TOPK)
    status = dict(line.split(':', 1) for line in Path('/proc/self/status').read_text().splitlines())
    return {name: int(status[key].split()[0]) / 1024 for name, key in (('own', 'RssAnon'), ('mapped', 'RssFile'))}


def memory_in_a_fresh_process(place: Path, dims: int) -> dict[str, float]:
    """What :func:`memory_of` gives in a process of its own."""
    command = [sys.executable, __file__, '--memory-of', str(place), '--dims', str(dims)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  this file
    return json.loads(done.stdout.splitlines()[-1])


def measure(count: int, args: argparse.Namespace, folder: Path) -> dict:
    """Measures galleries of one size."""
    people = People(count, args.dims, args.seed)
    vectors, ids, cameras = people.images(count, args.seed + 1)
    place = folder / f'{count}.gallery'
    facts: dict = dict(entries=count)
    with Gallery.open(place) as gallery:
        start = time.perf_counter()
        for first in range(0, count, 10_000):
            part = slice(first, first + 10_000)
            gallery.add(features=vectors[part], ids=ids[part], cameras=cameras[part], times=np.arange(count)[part])
        facts['add_s'] = time.perf_counter() - start
        start = time.perf_counter()
        gallery.search(vectors[:1])
        facts['first_search_s'] = time.perf_counter() - start
    start = time.perf_counter()
    gallery = Gallery.open(place)
    gallery.search(vectors[:1])
    facts['open_s'] = time.perf_counter() - start
    ways: dict[str, Search] = {
        'NumPy': lambda query: by_numpy(vectors, query),
        'faiss exact': lambda query: faiss.knn(query, vectors, TOPK, metric=faiss.METRIC_INNER_PRODUCT)[1],
        'gallery exact': lambda query: by_gallery(gallery, query),
    }
    rows = {name: dict(memory={}, disk=0.0) for name in ways}
    rows['gallery exact']['memory'] = memory_in_a_fresh_process(place, args.dims)
    rows['gallery exact']['disk'] = sum(gallery.info()['bytes'].values()) / 2**20
    for kind in args.kinds:
        built = Gallery.open(place)
        index = built.build_index(kind)
        near = built.store.engine.index
        ways[f'faiss {kind}'] = lambda query, near=near: near.find(query, TOPK)[0]
        ways[f'gallery {kind}'] = lambda query, built=built: by_gallery(built, query)
        rows[f'faiss {kind}'] = dict(memory={}, disk=0.0)
        rows[f'gallery {kind}'] = dict(
            memory=memory_in_a_fresh_process(place, args.dims),
            disk=sum(built.info()['bytes'].values()) / 2**20,
            build_s=index.seconds,
            effort=index.effort,
            promised=index.recall_at_10,
        )
    queries, _, _ = people.images(args.queries + args.batches * BATCH, args.seed + 2)
    single = latencies(ways, [queries[i : i + 1] for i in range(args.queries)])
    batches = latencies(ways, [queries[i : i + BATCH] for i in range(args.queries, len(queries), BATCH)])
    wanted = np.concatenate([by_numpy(vectors, part) for part in np.split(queries, range(BATCH, len(queries), BATCH))])
    for name, search in ways.items():
        found = np.concatenate([search(part) for part in np.split(queries, range(BATCH, len(queries), BATCH))])
        rows[name] |= dict(
            **_percentiles('single', single[name]),
            **_percentiles('batch', batches[name]),
            recall_at_1=float((found[:, 0] == wanted[:, 0]).mean()),
            recall_at_10=float((found[:, :, None] == wanted[:, None]).any(2).mean()),
        )
    assert rows['gallery exact']['recall_at_10'] > 0.999, 'exact search differs from NumPy'
    return dict(facts, rows=rows)


def _percentiles(what: str, times: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    kinds = zip(('wall', 'processor'), times, strict=True)
    return {f'{what}_{kind}_p{q}_ms': float(np.percentile(ms, q)) for kind, ms in kinds for q in (50, 99)}


def table(result: dict) -> str:
    """Shows the results of one size; milliseconds unless said."""
    kinds = [(what, kind) for what in ('single', 'batch') for kind in ('processor', 'wall')]
    heads = ['1: processor p50 / p99', '1: wall', f'{BATCH}: processor', f'{BATCH}: wall']
    lines = [['way', *heads, 'R@1 / R@10', 'build', 'own / mapped', 'disk']]
    for name, row in result['rows'].items():
        memory = row['memory']
        lines.append(
            [
                name,
                *(f'{row[f"{what}_{kind}_p50_ms"]:.1f} / {row[f"{what}_{kind}_p99_ms"]:.1f}' for what, kind in kinds),
                f'{row["recall_at_1"]:.3f} / {row["recall_at_10"]:.3f}',
                f'{row["build_s"]:.0f} s' if 'build_s' in row else '',
                f'{memory["own"]:.0f} / {memory["mapped"]:.0f} MB' if memory else '',
                f'{row["disk"]:.0f} MB' if row['disk'] else '',
            ]
        )
    facts = f'added in {result["add_s"]:.1f} s, first search {result["first_search_s"]:.2f} s, opened and searched in '
    return f'{AsciiTable(lines, str(result["entries"])).table}\n{facts}{result["open_s"]:.2f} s'


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, prints, and writes."""
    args = parse_args(argv)
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    if args.memory_of:
        print(json.dumps(memory_of(Path(args.memory_of), args.dims)))
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        results: dict = dict(load=os.getloadavg(), sizes=[])
        results['kills'] = kill_writers(Path(folder) / 'killed.gallery', args.kills, args.seed)
        print(results['kills'])
        for count in args.sizes:
            results['sizes'].append(measure(count, args, Path(folder)))
            print(table(results['sizes'][-1]), flush=True)
            if args.out:
                args.out.write_text(json.dumps(results, indent=1))
        print(f'load at the beginning {results["load"]}, at the end {os.getloadavg()}')


if __name__ == '__main__':
    main()
