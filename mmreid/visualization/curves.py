# Copyright (c) mmreid contributors. All rights reserved.
"""Draws curves of losses and metrics, also as mean and standard deviation over several runs."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmreid.utils.atomic_io import atomic_write

FORMATS = ('.png', '.pdf', '.svg')
STYLES = ('-', '--', ':', '-.')
FEW = 30  # curves with fewer points have markers


@dataclass(frozen=True)
class Curve:
    """One line of a plot.

    Attributes:
        label (str): Its name in the legend.
        x (np.ndarray): Positions, shape (N,).
        y (np.ndarray): Values, shape (N,).
        spread (np.ndarray | None): Standard deviation of each value, drawn as a band; shape (N,).
        color (int): Curves with the same number have the same color.
        style (int): Curves with the same number have the same line style.
        unit (str): Curves with the same unit share a panel, whose axis it labels.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    spread: np.ndarray | None = None
    color: int = 0
    style: int = 0
    unit: str = ''


def mean_curve(label: str, curves: Sequence[Curve]) -> Curve:
    """Averages the curves of several runs at the positions that all have.

    Args:
        label (str): Name of the mean.
        curves (Sequence[Curve]): Two or more.

    Returns:
        Curve: Mean and sample standard deviation.

    Raises:
        ValueError: If the runs have no position in common.
    """
    values = [dict(zip(np.round(curve.x, 6).tolist(), curve.y.tolist(), strict=True)) for curve in curves]
    shared = sorted(set(values[0]).intersection(*values[1:]))
    if not shared:
        raise ValueError(
            f'the {len(curves)} runs of {label} were logged at different positions, so they have no mean; give runs '
            'of one config'
        )
    table = np.array([[of_run[x] for x in shared] for of_run in values])
    spread = table.std(0, ddof=1) if len(curves) > 1 else None
    return replace(curves[0], label=label, x=np.array(shared), y=table.mean(0), spread=spread)


def unit_of(key: str) -> str:
    """Returns the unit of a logged value: ``'loss'``, ``'%'`` for metrics and accuracies, else the name itself."""
    name = key.rpartition('/')[2]
    if 'loss' in name:
        return 'loss'
    return '%' if re.match(r'(mAP|mINP|Rank-|TPR@|acc)', name) else name


def draw_curves(
    path: str | os.PathLike,
    curves: Sequence[Curve],
    x_label: str = 'epoch',
    title: str = '',
    size: tuple[float, float] = (12, 7),
) -> None:
    """Draws curves into one file, with a panel for each unit; needs no display.

    Args:
        path (str | os.PathLike): A .png, .pdf or .svg file.
        curves (Sequence[Curve]): What to draw.
        x_label (str): Unit of the positions. Defaults to ``'epoch'``.
        title (str): Title. Defaults to ''.
        size (tuple[float, float]): Width and height in inches. Defaults to (12, 7).

    Raises:
        ValueError: If the name of the file has another suffix.
    """
    kind = Path(path).suffix.lower()
    if kind not in FORMATS:
        raise ValueError(f'{path}: curves are drawn as {", ".join(FORMATS)}; give a name with one of these suffixes')
    figure = Figure(figsize=size, layout='constrained')
    FigureCanvasAgg(figure)
    units = list(dict.fromkeys(curve.unit for curve in curves))
    panels = dict(zip(units, figure.subplots(len(units), sharex=True, squeeze=False)[:, 0], strict=True))
    for curve in curves:
        axes = panels[curve.unit]
        drawn = dict(color=f'C{curve.color % 10}', linestyle=STYLES[curve.style % len(STYLES)], linewidth=1.2)
        axes.plot(curve.x, curve.y, label=curve.label, marker='o' if len(curve.x) < FEW else '', markersize=3, **drawn)
        if curve.spread is not None:
            band = curve.y - curve.spread, curve.y + curve.spread
            axes.fill_between(curve.x, *band, color=drawn['color'], alpha=0.2, linewidth=0)
    for unit, axes in panels.items():
        axes.set_ylabel(unit)
        axes.grid(alpha=0.3)
        axes.legend()
    panels[units[0]].set_title(title)
    panels[units[-1]].set_xlabel(x_label)
    atomic_write(path, lambda file: figure.savefig(file, format=kind[1:]))
