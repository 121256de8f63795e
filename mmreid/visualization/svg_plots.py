# Copyright (c) mmreid contributors. All rights reserved.
"""Plots as SVG for web pages: texts stay text in the font and color of the page, on the background of the page."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

COLORS = ('#2f6fde', '#e4572e', '#2a9d5c', '#9b5de5', '#d9930d', '#1295a8', '#d6409f', '#7a7f87')
STYLES = ('-', '--', '-.', ':')
SAME, OTHER = '#2a9d5c', '#e4572e'
LINE = '#8a8f98'
SIZE = (5.4, 3.6)  # inches
_SETTINGS = {
    'svg.fonttype': 'none', 'font.size': 10, 'axes.edgecolor': LINE, 'axes.labelcolor': LINE, 'xtick.color': LINE,
    'ytick.color': LINE, 'axes.spines.top': False, 'axes.spines.right': False, 'grid.color': LINE, 'grid.alpha': 0.25,
    'axes.grid': True, 'legend.frameon': False, 'legend.fontsize': 9, 'axes.axisbelow': True, 'path.simplify': True,
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A curve of a plot.

    Attributes:
        label (str): Its name in the legend.
        x (np.ndarray): Positions, shape (N,).
        y (np.ndarray): Values, shape (N,).
        spread (np.ndarray | None): Standard deviation of each value, drawn as a band; shape (N,).
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    spread: np.ndarray | None = None


def draw_lines(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    x_percent: bool = False,
    y_percent: bool = True,
    log_x: bool = False,
    y_limits: tuple[float, float] | None = (0, 1),
) -> str:
    """Draws curves.

    Args:
        lines (Sequence[Line]): The curves, one color and line style each.
        x_label (str): Name of the horizontal axis.
        y_label (str): Name of the vertical axis.
        x_percent (bool): Whether positions are fractions, to be written in percent. Defaults to False.
        y_percent (bool): The same for values. Defaults to True.
        log_x (bool): Whether the horizontal axis is logarithmic. Defaults to False.
        y_limits (tuple[float, float], optional): Ends of the vertical axis; None follows the data. Defaults to (0, 1).

    Returns:
        str: An ``<svg>`` element.
    """
    with matplotlib.rc_context(_SETTINGS):
        figure, axes = _figure()
        for number, line in enumerate(lines):
            color = COLORS[number % len(COLORS)]
            style = STYLES[number // len(COLORS) % len(STYLES)]
            axes.plot(line.x, line.y, style, color=color, linewidth=1.8, label=_plain(line.label))
            if line.spread is not None:
                axes.fill_between(line.x, line.y - line.spread, line.y + line.spread, color=color, alpha=0.2, lw=0)
        axes.set(xlabel=x_label, ylabel=y_label, xscale='log' if log_x else 'linear')
        if not (x_percent or log_x):
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        if log_x:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f'{value:g}'))  # text, not a formula
        if y_limits is not None:
            axes.set_ylim(*y_limits)
        if x_percent and not log_x:
            axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
        if y_percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
        if len(lines) > 1:
            axes.legend(loc='best')
        return _svg(figure)


def draw_histograms(edges: np.ndarray, same: np.ndarray, other: np.ndarray, threshold: float) -> str:
    """Draws the scores of pairs of one person and of two people.

    Args:
        edges (np.ndarray): Borders of the bins, shape (B + 1,).
        same (np.ndarray): Pairs of one person in each bin, shape (B,).
        other (np.ndarray): Pairs of two people, likewise.
        threshold (float): A score to mark.

    Returns:
        str: An ``<svg>`` element.
    """
    with matplotlib.rc_context(_SETTINGS):
        figure, axes = _figure()
        for counts, color, name in ((other, OTHER, 'different people'), (same, SAME, 'the same person')):
            label = f'{name} ({int(counts.sum()):,} pairs)'
            axes.stairs(counts / max(1, counts.sum()), edges, fill=True, alpha=0.45, color=color, label=label)
        axes.axvline(threshold, color=LINE, linestyle='--', label=f'equal error rate at {threshold:.3g}')
        axes.set(xlabel='score', ylabel='fraction of the pairs')
        axes.set_ylim(0, axes.get_ylim()[1] * 1.25)  # room for the legend
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.legend(loc='upper left')
        return _svg(figure)


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout='constrained')
    FigureCanvasSVG(figure)
    return figure, figure.add_subplot()


def _plain(text: str) -> str:
    """Keeps a name from being read as a formula, as hidden from the legend, or as several lines."""
    text = ' '.join(text.split()).replace('$', r'\$')
    return f'\u200b{text}' if text.startswith('_') else text


def _svg(figure: Figure) -> str:
    """Returns the element alone, without a style sheet that would apply to the whole page."""
    file = io.StringIO()
    figure.savefig(file, format='svg', transparent=True, metadata={'Date': None, 'Creator': None})
    text = file.getvalue()
    text = re.sub(r'<(metadata|style)\b.*?</\1>|\n', '', text[text.index('<svg') :], flags=re.DOTALL)
    return re.sub(r'^<svg[^>]*>', f'<svg viewBox="0 0 {72 * SIZE[0]:g} {72 * SIZE[1]:g}" role="img">', text).strip()
