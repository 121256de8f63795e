# Copyright (c) mmreid contributors. All rights reserved.
"""Measures matching in an iteration: a batch against a memory of all classes, and inside itself under graph sampling.

``python benchmarks/gs/class_memory_speed.py`` prints processor time and peak memory of forward and backward, from the
maps of a batch on, for each number of classes. A graph serves as many iterations as there are classes, so each carries
its part of the graph. What is too long for the maps of real images is measured for some of the pairs and
multiplied, which is marked by ``~``. Each measurement has a forked process of its own, on one thread, and is a line of
``class_memory.jsonl``: the same command, given again, goes on after the last.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from claims.results import Results, settings_hash, table, write_section  # noqa: E402
from claims.runs import ROOT, ensure_environment, once  # noqa: E402
from graph_speed import CLASSES, _peak, make_maps  # noqa: E402
from graph_speed import measure as measure_graph  # noqa: E402

from mmreid.models import PairwiseHead, QAConvMatcher  # noqa: E402
from mmreid.utils.one_line_errors import one_line_errors  # noqa: E402

BATCH, IMAGES = 64, 2
# Size and channels of the maps, images of the batch that meet the memory, most classes and most pairs of a graph that
# are measured.
GRIDS = {'8x4x64': ((8, 4), 64, 64, 10**9, 1_000_000), '24x8x128': ((24, 8), 128, 8, 500, 0)}


def step(head: nn.Module, matcher: nn.Module, batch: int, channels: int, size: tuple[int, int], repeats: int) -> dict:
    """Does forward and backward some times.

    Args:
        head (nn.Module): The loss.
        matcher (nn.Module): The matcher.
        batch (int): Images.
        channels (int): Channels of the maps.
        size (tuple[int, int]): Height and width of the maps.
        repeats (int): How often.

    Returns:
        dict: ``seconds`` of processor time, the best; ``mib``, the peak above maps, memory of classes and weights.
    """
    maps = make_maps(batch, channels, size, seed=1).requires_grad_()
    labels = torch.arange(batch) // IMAGES
    seconds, peak = [], _peak()
    for _ in range(repeats):
        start = time.process_time()
        results = head.loss(maps, labels, matcher)
        sum(value for name, value in results.items() if 'loss' in name).backward()
        seconds.append(time.process_time() - start)
    return dict(seconds=min(seconds), mib=(_peak() - peak) / 2**10)


def measure_memory(classes: int, batch: int, channels: int, size: tuple[int, int], repeats: int) -> dict:
    """Measures a batch against a memory of all classes, all of them seen."""
    loss = dict(type='mmreid.ClassMemoryLoss', channels=channels, size=size)
    head = PairwiseHead(num_classes=classes, loss_score=None, loss_memory=loss)
    head.loss_memory.class_memory.copy_(make_maps(classes, channels, size).flatten(2))
    head.loss_memory.valid_class.fill_(True)
    return step(head, QAConvMatcher(size).train(), batch, channels, size, repeats)


def measure_batch(channels: int, size: tuple[int, int], repeats: int) -> dict:
    """Measures a batch against itself."""
    return step(PairwiseHead(), QAConvMatcher(size).train(), BATCH, channels, size, repeats)


def measure_grid(name: str, all_classes: list[int], repeats: int, results: Results) -> tuple[str, float]:
    """Makes the table of one size of maps.

    Args:
        name (str): Key of ``GRIDS``.
        all_classes (list[int]): Numbers of classes.
        repeats (int): Iterations of each measurement.
        results (Results): The finished measurements; logs go beside them.

    Returns:
        tuple[str, float]: The table, and the processor seconds it took.
    """
    size, channels, part, most_classes, most_pairs = GRIDS[name]

    def do(row: str, job) -> dict:
        found = once(results, 0, row, job, results.path.with_name(f'{row.replace(" ", "-")}.log'))
        spent[row] = found['cpu']
        return found

    spent: dict[str, float] = {}
    inside = do(f'batch {name}', partial(measure_batch, channels, size, repeats))
    head = ['classes', 'memory, ms', 'memory, MiB', 'in the batch, ms', 'part of the graph, ms', 'GS, ms']
    text = [[*head, 'in the batch, MiB', 'graph, MiB', 'memory / GS']]
    for classes in all_classes:
        used = min(classes, most_classes)
        memory = do(f'memory {name} {used}', partial(measure_memory, used, part, channels, size, repeats))
        graph = do(f'graph {name} {used}', partial(measure_graph, used, size, channels, most_pairs))
        factor = BATCH / part * classes / used
        whole, graph_ms = 1000 * memory['seconds'] * factor, 1000 * graph['seconds'] * classes / used**2
        sampling = 1000 * inside['seconds'] + graph_ms
        about = '~' if factor > 1 else ''
        part_of_graph = '~' if used < classes or graph['share'] < 1 else ''
        cells = [f'{about}{whole:.0f}', f'{about}{memory["mib"] * factor:.0f}', f'{1000 * inside["seconds"]:.0f}']
        cells += [f'{part_of_graph}{graph_ms:.1f}', f'{part_of_graph}{sampling:.0f}', f'{inside["mib"]:.0f}']
        peak = f'{graph["mib"]:.0f}' if used == classes else ''
        text.append([str(classes), *cells, peak, f'{about or part_of_graph}{whole / sampling:.1f}'])
        print(f'{name}, {classes} classes: memory {cells[0]} ms, GS {cells[4]} ms', flush=True)
    return f'Maps of {name}:\n\n{table(text)}', sum(spent.values())


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--classes', type=int, nargs='+', default=CLASSES, help='how many')
    parser.add_argument('--maps', nargs='+', choices=GRIDS, default=list(GRIDS), help='height x width x channels')
    parser.add_argument('--repeats', type=int, default=3, help='iterations, of which the fastest counts')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs/gs_speed', help='for logs')
    parser.add_argument('--readme', action='store_true', help='also write the tables into the README')
    return parser.parse_args()


def main() -> None:
    """Prints the tables."""
    args = parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    settings = settings_hash(GRIDS, BATCH, IMAGES, args.repeats, torch.__version__)
    results = Results(args.work_dir / 'class_memory.jsonl', settings)
    found = [measure_grid(name, args.classes, args.repeats, results) for name in args.maps]
    parts = [text for text, _ in found]
    parts.append(f'Cost: {sum(spent for _, spent in found) / 60:.1f} minutes of one processor.')
    result = '\n\n'.join(parts)
    print(result)
    if args.readme:
        write_section(ROOT / 'benchmarks/gs/README.md', 'memory speed', result)


if __name__ == '__main__':
    ensure_environment()
    with one_line_errors():
        main()
