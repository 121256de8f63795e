# Copyright (c) mmreid contributors. All rights reserved.
"""Draws an architecture: a box for each normalization layer, shared by the modalities or split between them."""

import os
import re
from collections.abc import Mapping, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch

from mmreid.utils.atomic_io import atomic_write

SHARE, SPLIT = '#4c78a8', '#e45756'
PALE = LinearSegmentedColormap.from_list('share to split', [SHARE, '#f2f2f2', SPLIT])
PER_ROW = 20
_CENTERED = dict(ha='center', va='center', fontsize=6.5, linespacing=1.1)
_STAGE = re.compile(r'((?:layer|stages\.|layers\.)\d+)\.(.+)')


def draw_arch(
    path: str | os.PathLike,
    norms: Mapping[str, str],
    split_probability: Mapping[str, float] | None = None,
    title: str = '',
) -> None:
    """Draws an architecture: a row for each stage, a box for each normalization layer in the order of the network.

    Args:
        path (str | os.PathLike): The PNG file to write.
        norms (Mapping[str, str]): ``'share'`` or ``'split'`` for each normalization layer, by name.
        split_probability (Mapping[str, float], optional): Probability of ``'split'``: colors fade towards 0.5, and
            the number is written into the box. Defaults to None.
        title (str): Text above. Defaults to ''.
    """
    probabilities = split_probability or {name: float(state == 'split') for name, state in norms.items()}
    rows = _rows(list(norms))
    figure = Figure(figsize=(1.5 + 0.62 * max(len(row) for _, row in rows), 0.9 + 0.85 * len(rows)), dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    for y, (stage, row) in enumerate(rows):
        axes.text(-0.15, -y, stage, ha='right', va='center', fontsize=9)
        for x, (name, label) in enumerate(row):
            split = norms[name] == 'split'
            # Dashed and labeled, so that the choice is readable without colors.
            line = dict(edgecolor='black', linewidth=1.2, linestyle='--' if split else '-')
            axes.add_patch(_box(x, y, facecolor=PALE(probabilities[name]), **line))
            number = f'\n{probabilities[name]:.2f}' if split_probability else ''
            axes.text(x + 0.46, -y, f'{label}\n{"split" if split else "share"}{number}', **_CENTERED)
    count = sum(state == 'split' for state in norms.values())
    handles = [
        Patch(facecolor=SHARE, edgecolor='black', label=f'share ({len(norms) - count})'),
        Patch(facecolor=SPLIT, edgecolor='black', linestyle='--', label=f'split ({count})'),
    ]
    axes.legend(handles=handles, loc='upper right', ncols=2, fontsize=9, frameon=False, title=title or None)
    axes.set(xlim=(-1.9, max(len(row) for _, row in rows) + 0.2), ylim=(-len(rows) + 0.4, 1.4))
    axes.axis('off')
    atomic_write(path, lambda file: figure.savefig(file, format='png'))


def _box(x: int, y: int, **style) -> Patch:
    return FancyBboxPatch((x + 0.06, -y - 0.36), 0.8, 0.72, boxstyle='round,pad=0.02,rounding_size=0.08', **style)


def _rows(names: Sequence[str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups layers by stage; returns rows that fit, each a stage's name and its layers with a short label."""
    stages: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        found = _STAGE.fullmatch(name)
        stage, rest = found.groups() if found else ('', name)
        label = re.sub(r'downsample\.\d+', 'down', rest).replace('.', '\n', 1)
        stages.setdefault(stage, []).append((name, label))
    rows = []
    for stage, members in stages.items():
        for start in range(0, len(members), PER_ROW):
            rows.append((stage if start == 0 else '', members[start : start + PER_ROW]))
    return rows
