# Copyright (c) mmreid contributors. All rights reserved.
"""Measures the matching of feature maps (query-adaptive convolution) beside its floor and the obvious form.

Floor: the matrix products of the same tiles in the same threads and nothing else (on a GPU: one bf16 product of
8192 x 8192 matrices). Obvious form: ``einsum`` over all pairs of a few queries, then ``max`` along both axes. All run
in turn, in one process per row; medians of ``--repeats`` count, in processor seconds on a CPU, and the ratio to the
obvious form on the clock as well. ``--busy`` starts other processes that take all of a core each. Memory is the peak
above maps and results.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from terminaltables import AsciiTable

from mmreid.models.matchers import location_maxima as maxima
from mmreid.models.matchers.location_maxima import location_maxima
from mmreid.utils.threads import share

sys.path.insert(0, str(Path(__file__).parents[1] / 'evaluation'))
from ranking_speed import PeakMemory  # noqa: E402

# Queries, gallery images, locations, channels: the standard maps, then each number changed alone.
CPU_SIZES = [(16, 64, 192, 128), (8, 64, 192, 128), (16, 128, 192, 128), (16, 64, 96, 128), (16, 64, 48, 128)]
CPU_SIZES += [(16, 64, 192, 64), (16, 64, 192, 256)]
GPU_SIZES = [(256, 1024, 192, 128), (128, 1024, 192, 128), (256, 2048, 192, 128), (256, 1024, 96, 128)]
GPU_SIZES += [(256, 1024, 192, 64)]


def timed(function: Callable, device: str) -> np.ndarray:
    """Seconds of one call: on the clock, and of all processors."""
    start = np.array([time.perf_counter(), time.process_time()])
    function()
    if device == 'cuda':
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()]) - start


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Runs a process that never rests on each of ``count`` cores."""
    cores = sorted(os.sched_getaffinity(0))
    source = 'import os, sys\nos.sched_setaffinity(0, [int(sys.argv[1])])\nwhile True: pass'
    commands = [[sys.executable, '-c', source, str(cores[i % len(cores)])] for i in range(count)]
    others = [subprocess.Popen(command) for command in commands]  # noqa: S603  the line above
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def tiles_only(query: torch.Tensor, gallery: torch.Tensor) -> None:
    """Multiplies the tiles, into one buffer: the floor."""

    def multiply(tiles: Iterable[tuple[slice, slice]]) -> None:
        buffer = query.new_empty(0)
        for q, g in tiles:
            left, right = query[q].flatten(0, 1), gallery[g].flatten(0, 1)
            if len(buffer) < len(left) * len(right):
                buffer = query.new_empty(len(left) * len(right))
            torch.mm(left, right.t(), out=buffer[: len(left) * len(right)].view(len(left), len(right)))

    share(multiply, maxima._tiles(query, gallery))


def obvious(query: torch.Tensor, gallery: torch.Tensor, queries: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Compares the maps (N, d, hw) of a few queries with all others at once."""
    results = []
    for part in query.split(queries):
        products = torch.einsum('qdr,gds->qgrs', part, gallery)
        results.append((products.max(3)[0], products.max(2)[0]))
    return results


def training(function: Callable, query: torch.Tensor, gallery: torch.Tensor, weights: tuple) -> None:
    """Runs forward and backward."""
    sides = [side.detach().requires_grad_() for side in (query, gallery)]
    torch.autograd.grad(function(*sides), sides, weights)


def measure(sizes: tuple[int, ...], device: str, repeats: int, threads: int, results) -> None:
    """Measures one row of the table."""
    torch.set_num_threads(threads)
    num_query, num_gallery, hw, dim = sizes
    gpu = device == 'cuda'
    dtype = torch.bfloat16 if gpu else torch.float32
    torch.manual_seed(0)
    rows = [F.normalize(torch.randn(n, hw, dim, device=device), dim=2).to(dtype) for n in (num_query, num_gallery)]
    maps = [side.transpose(1, 2) for side in rows]
    # A part of the obvious form: at most 256 MB of products on a CPU, 4 GB on a GPU.
    queries = max(1, (2**32 if gpu else 2**28) // (num_gallery * hw * hw * rows[0].element_size()))
    if gpu:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        found = location_maxima(*maps)
        peak = (torch.cuda.max_memory_allocated() - before) / 2**20
    else:
        location_maxima(*(side[:1] for side in maps))  # starts the libraries
        with PeakMemory() as memory:
            found = location_maxima(*maps)
        peak = memory.megabytes
    peak -= sum(value.nbytes for value in found) / 2**20
    for side, values in enumerate(zip(*obvious(*maps, queries), strict=True)):
        assert (torch.cat(values).float() - found[side]).abs().max() < (1e-2 if gpu else 1e-5)
    square = torch.randn(8192, 8192, device=device).to(dtype) if gpu else None
    weights = tuple(torch.rand_like(value) for value in found)

    def whole(query: torch.Tensor, gallery: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(torch.cat(values) for values in zip(*obvious(query, gallery, queries), strict=True))

    runs: dict[str, tuple[Callable, ...]] = dict(
        floor=(lambda: square @ square,) if gpu else (tiles_only, *rows),
        ours=(location_maxima, *maps),
        obvious=(obvious, *maps, queries),
        training=(training, location_maxima, *maps, weights),
    )
    if num_query * num_gallery * hw * hw * 4 <= (2**35 if gpu else 2**30):  # its graph holds all products
        of_type = tuple(weight.to(dtype) for weight in weights)
        runs['obvious training'] = (training, whole, *maps, of_type)
    times: dict[str, list[np.ndarray]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, (function, *arguments) in runs.items():
            times[name].append(timed(lambda f=function, a=arguments: f(*a), device))
    on_clock, of_cores = ({name: np.median(values[1:], 0)[i] for name, values in times.items()} for i in range(2))
    typical = on_clock if gpu else of_cores
    work = 2 * num_query * num_gallery * hw * hw * dim
    floor = 2 * 8192**3 / typical['floor'] if gpu else work / typical['floor']
    unit = 1e12 if gpu else 1e9
    with_training = typical.get('obvious training')
    results.put(
        [
            f'{num_query} x {num_gallery}',
            hw,
            dim,
            f'{floor / unit:.0f}',
            f'{work / typical["ours"] / unit:.0f}',
            f'{work / typical["ours"] / floor:.2f}',
            f'{typical["obvious"] / typical["ours"]:.1f}',
            f'{on_clock["obvious"] / on_clock["ours"]:.1f}',
            f'{3 * work / typical["training"] / floor:.2f}',
            '-' if with_training is None else f'{with_training / typical["training"]:.1f}',
            f'{max(0.0, peak):.1f}',
            f'{num_query * num_gallery * hw * hw * rows[0].element_size() / 2**20:.0f}',
        ]
    )


def main() -> None:
    """Prints a table for the CPU and, where there is one, for the GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--busy', type=int, default=0, help='processes that keep a core each')
    parser.add_argument('--rows', nargs='+', type=int, help='rows of the table to measure, from 0')
    parser.add_argument('--devices', nargs='+', choices=['cpu', 'cuda'], default=['cpu', 'cuda'])
    args = parser.parse_args()
    context = multiprocessing.get_context('spawn')
    for device in args.devices:
        if device == 'cuda' and not torch.cuda.is_available():
            print('no GPU: its table is left out')
            continue
        unit = 'TFLOP/s' if device == 'cuda' else 'GFLOP/s'
        head = ['maps', 'hw', 'd', f'floor, {unit}', f'here, {unit}', 'fraction of the floor']
        head += ['einsum + max: times slower', 'on the clock', 'training: fraction', 'einsum training: times slower']
        table = [[*head, 'memory, MB', 'all products, MB']]
        all_sizes = CPU_SIZES if device == 'cpu' else GPU_SIZES
        for sizes in all_sizes if args.rows is None else [all_sizes[row] for row in args.rows]:
            queue = context.Queue()
            process = context.Process(target=measure, args=(sizes, device, args.repeats, args.threads, queue))
            load = np.round(os.getloadavg()[0], 1)
            with busy_cores(args.busy):
                process.start()
                process.join()
            if process.exitcode:
                raise SystemExit(f'error: measuring {sizes} failed with exit status {process.exitcode}')
            table.append(queue.get())
            print(AsciiTable([table[0], table[-1]]).table, flush=True)
        print(AsciiTable(table, f'{device}, load before the last row {load}').table, flush=True)


if __name__ == '__main__':
    main()
