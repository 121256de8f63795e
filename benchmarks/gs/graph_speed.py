# Copyright (c) mmreid contributors. All rights reserved.
"""Measures what a graph of classes costs beyond extracting an image of each: all classes scored against all.

``python benchmarks/gs/graph_speed.py`` prints a row for each number of classes. Where the scores are too many, some of
the rows are scored and the time is multiplied, which is marked by ``~``: the real loop handles 64 rows at a time, one
block like the other. Each measurement has a forked process of its own, on one thread, and is a line of
``graph.jsonl``: the same command, given again, goes on after the last. Memory is the peak above the features.
"""

import argparse
import resource
import sys
import time
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from claims.results import Results, settings_hash, table, write_section  # noqa: E402
from claims.runs import ROOT, ensure_environment, once  # noqa: E402

from mmreid.engine.features.class_graph import nearest_classes  # noqa: E402
from mmreid.evaluation.functional import FeatureScores  # noqa: E402
from mmreid.evaluation.functional.top_lists import top_lists  # noqa: E402
from mmreid.models import CosineMatcher, QAConvMatcher  # noqa: E402
from mmreid.utils.one_line_errors import one_line_errors  # noqa: E402

NEIGHBORS = 31
BLOCK = 64
CLASSES = (500, 1000, 2000, 4000, 8000)
# Size and channels of what is compared, most classes, most pairs to score (but at least one block of rows).
KINDS = {
    'cosine, 128': (None, 128, 10**9, 10**18),
    'cosine, 2048': (None, 2048, 10**9, 10**18),
    'QAConv, 4x2x64': ((4, 2), 64, 10**9, 4_000_000),
    'QAConv, 8x4x64': ((8, 4), 64, 10**9, 1_000_000),
    'QAConv, 24x8x128': ((24, 8), 128, 500, 0),
}


def make_maps(count: int, channels: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    """Draws maps (N, C, H, W), each location L2-normalized."""
    maps = torch.randn(count, channels, *size, generator=torch.Generator().manual_seed(seed))
    return nn.functional.normalize(maps, dim=1)


def make_matcher(size: tuple[int, int] | None) -> nn.Module:
    """Makes a matcher in eval mode: QAConv for maps, the cosine for vectors."""
    return (QAConvMatcher(size) if size else CosineMatcher()).eval()


def measure(count: int, size: tuple[int, int] | None, channels: int, most_pairs: int) -> dict:
    """Measures the graph of some classes.

    Args:
        count (int): Classes, more than ``NEIGHBORS``.
        size (tuple[int, int], optional): Of the maps; None for vectors.
        channels (int): Of the maps, or the vectors.
        most_pairs (int): Most pairs to score.

    Returns:
        dict: ``seconds`` of processor time for the whole graph; ``share``, the fraction of its rows that were scored;
        ``mib``.
    """
    feats = make_maps(count, channels, size or (1, 1))
    feats = feats if size else feats.flatten(1)
    matcher = make_matcher(size)
    rows = count if count**2 <= most_pairs else min(count, max(BLOCK, most_pairs // count // BLOCK * BLOCK))
    peak, start = _peak(), time.process_time()
    if rows == count:
        nearest_classes(feats[:, None], matcher, NEIGHBORS)
    else:
        nearest_of_rows(feats, matcher, rows)
    return dict(seconds=(time.process_time() - start) * count / rows, share=rows / count, mib=(_peak() - peak) / 2**10)


@torch.no_grad()
def nearest_of_rows(feats: Tensor, matcher: nn.Module, rows: int) -> None:
    """Does for the first rows what ``nearest_classes`` does for all."""
    scores = FeatureScores(feats[:rows], feats, matcher)
    for start in range(0, rows, BLOCK):
        block = scores.rows(slice(start, min(start + BLOCK, rows))).float().clone()
        top_lists(block, NEIGHBORS)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--classes', type=int, nargs='+', default=CLASSES, help='how many')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs/gs_speed', help='for logs')
    parser.add_argument('--readme', action='store_true', help='also write the table into the README')
    return parser.parse_args()


def main() -> None:
    """Prints the table."""
    args = parse_args()
    text = [['classes', *(f'{name}: {unit}' for name in KINDS for unit in ('s', 'ms per class'))]]
    memory = [['classes', *(f'{name}: MiB' for name in KINDS)]]
    args.work_dir.mkdir(parents=True, exist_ok=True)
    results = Results(args.work_dir / 'graph.jsonl', settings_hash(KINDS, NEIGHBORS, BLOCK, torch.__version__))
    spent: dict[str, float] = {}
    for count in args.classes:
        cells, peaks = [], []
        for name, (size, channels, most_classes, most_pairs) in KINDS.items():
            used = min(count, most_classes)
            row, job = f'{name}, {used}', partial(measure, used, size, channels, most_pairs)
            found = once(results, 0, row, job, args.work_dir / f'{row.replace(", ", "-").replace(" ", "-")}.log')
            spent[row] = found['cpu']
            seconds = found['seconds'] * (count / used) ** 2
            about = '' if used == count and found['share'] == 1 else '~'
            cells += [f'{about}{seconds:.3g}', f'{about}{1000 * seconds / count:.3g}']
            peaks.append(f'{found["mib"]:.0f}' if used == count else '')
        print(f'{count} classes: {", ".join(cells[::2])} s', flush=True)
        text.append([str(count), *cells])
        memory.append([str(count), *peaks])
    result = f'{table(text)}\n\n{table(memory)}\n\nCost: {sum(spent.values()) / 60:.1f} minutes of one processor.'
    print(result)
    if args.readme:
        write_section(ROOT / 'benchmarks/gs/README.md', 'graph cost', result)


if __name__ == '__main__':
    ensure_environment()
    with one_line_errors():
        main()
