# Copyright (c) mmreid contributors. All rights reserved.
"""What the work dir of a run tells about its method: architecture, neighbor graph, memory neighbors, camera styles."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmreid.utils.arch_io import load_arch
from mmreid.utils.npz_file import read_npz
from mmreid.utils.training_log import read_training_log
from mmreid.visualization.arch_plot import draw_arch
from mmreid.visualization.svg_plots import Line, draw_lines

from .image_table import ImageTable
from .report_folder import FILES

IDENTITIES = 12  # of a graph that are shown
NEIGHBORS = 8

Part = dict[str, Any]


def method_parts(work_dir: Path, number: int, images: ImageTable) -> tuple[list[Part], list[str]]:
    """Finds the parts that apply to a run.

    Args:
        work_dir (Path): The work dir of a training or a search.
        number (int): A number for the names of files.
        images (ImageTable): Gets the images that are shown; files go into its folder.

    Returns:
        tuple[list[Part], list[str]]: ``title``, ``note`` and one of ``file``, ``svg`` and ``graph`` of each part; and a
        sentence for each file that cannot be read.
    """
    if not work_dir.is_dir():
        return [], [f'{work_dir} is no folder; give the --work-dir of a training']
    parts, faults = [], []
    makers: list[Callable[[Path, str, ImageTable], list[Part]]] = [_architecture, _effects, _graph, _neighbors, _styles]
    for maker in makers:
        try:
            parts += maker(work_dir, f'{number}', images)
        except (ValueError, OSError, KeyError, IndexError) as error:
            faults.append(f'{work_dir}: {error}')
    for part in parts:
        part['title'] += f' ({work_dir.name})'
    return parts, faults


def _newest(work_dir: Path, pattern: str) -> Path | None:
    """Returns the file with the highest numbers in its path, such as the last epoch of the last start."""
    found = [path for path in work_dir.glob(pattern) if path.is_file()]
    return max(found, key=lambda path: [int(n) for n in re.findall(r'\d+', str(path))], default=None)


def _architecture(work_dir: Path, number: str, images: ImageTable) -> list[Part]:
    path = _newest(work_dir, '**/arch.json')
    if path is None:
        return []
    arch = load_arch(path)
    name = f'{FILES}/arch{number}.png'
    draw_arch(images.folder / name, arch.norms, arch.split_probability or None)
    split = sum(state == 'split' for state in arch.norms.values())
    note = f'{split} of {len(arch.norms)} normalization layers are split by modality, the others are shared.'
    return [dict(title='CM-NAS: the architecture', note=note, file=name)]


def _effects(work_dir: Path, number: str, images: ImageTable) -> list[Part]:
    path = _newest(work_dir, '**/candidates.png')
    if path is None:
        return []
    note = 'Estimated gain over sharing all, of each architecture that the search has trained; red is the chosen one.'
    return [dict(title='CM-NAS: the effects', note=note, file=_copied(path, f'{FILES}/effects{number}.png', images))]


def _graph(work_dir: Path, number: str, images: ImageTable) -> list[Part]:
    path = _newest(work_dir, 'graphs/epoch_*.npz')
    if path is None:
        return []
    table = read_npz(path)
    pids, neighbors, scores = (table[key] for key in ('pids', 'neighbors', 'scores'))
    if (
        {pids.dtype.kind, neighbors.dtype.kind, scores.dtype.kind} - set('iuf')
        or neighbors.shape != scores.shape
        or neighbors.ndim != 2
        or len(neighbors) != len(pids)
    ):
        raise ValueError(f'{path} has pids {pids.shape}, neighbors {neighbors.shape} and scores {scores.shape}')
    files = dict(zip(pids.tolist(), table['files'][:, 0].tolist(), strict=True)) if 'files' in table else {}

    def entry(pid: int, score: float | None = None) -> list[Any]:
        return [images.add(files[pid]) if pid in files else None, str(pid), score]

    chosen = np.unique(np.linspace(0, len(pids) - 1, min(IDENTITIES, len(pids))).astype(int))
    rows = [
        [entry(int(pids[row])), *(entry(int(pid), round(float(score), 3)) for pid, score in
         zip(neighbors[row, :NEIGHBORS], scores[row, :NEIGHBORS], strict=True))]
        for row in chosen
    ]  # fmt: skip
    note = (
        f'{path.stem.replace("_", " ")}: {len(pids)} identities with {neighbors.shape[1]} neighbors each. A batch has '
        f'an identity, left, and its neighbors, the nearest first. {len(rows)} identities are shown.'
    )
    return [dict(title='Graph sampling: the neighbor graph', note=note, graph=rows)]


def _neighbors(work_dir: Path, number: str, images: ImageTable) -> list[Part]:
    if not any(work_dir.glob('*/vis_data/scalars.json')):
        return []
    log = read_training_log(work_dir)
    keys = [key for key in log.keys if key.startswith('neighbors/')]
    if not keys:
        return []
    lines = [Line(key.removeprefix('neighbors/').replace('_', ' '), *log.values(key)) for key in keys]
    plot = draw_lines(lines, 'epoch', 'percent', y_percent=False, y_limits=None)
    note = 'How many of the neighbors in the memories show the same person, after each epoch.'
    return [dict(title='ECN: the neighbors', note=note, svg=plot)]


def _styles(work_dir: Path, number: str, images: ImageTable) -> list[Part]:
    path = _newest(work_dir, '*/vis_data/vis_image/style_grid_*.png')
    if path is None:
        return []
    note = f'{path.stem}: real images, left, and in the style of each camera; a blue frame marks their own.'
    return [dict(title='Camera styles', note=note, file=_copied(path, f'{FILES}/styles{number}.png', images))]


def _copied(path: Path, name: str, images: ImageTable) -> str:
    shutil.copyfile(path, images.folder / name)
    return name
