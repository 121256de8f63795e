# Copyright (c) mmreid contributors. All rights reserved.
"""Draws the architectures that a search has trained, with their estimated gains and what they scored."""

import os
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmreid.utils.atomic_io import atomic_write

MOST = 40


def draw_gains(
    path: str | os.PathLike,
    titles: Sequence[str],
    means: Sequence[float],
    errors: Sequence[float],
    scores: Sequence[Sequence[float]],
    chosen: str,
) -> None:
    """Draws a row for each architecture, the first at the top: its gain with a 95 % interval, and its scores.

    Args:
        path (str | os.PathLike): The PNG file to write.
        titles (Sequence[str]): Names of the architectures; the first ``MOST`` are drawn.
        means (Sequence[float]): Estimated gain of each over all shared, in percent.
        errors (Sequence[float]): Standard error of each.
        scores (Sequence[Sequence[float]]): Scores of the short trainings of each, less those of the same round and
            identities on average, in percent.
        chosen (str): The title that is emphasized.
    """
    titles = list(titles)[:MOST]
    figure = Figure(figsize=(8, 1.2 + 0.28 * len(titles)), dpi=120)
    FigureCanvasAgg(figure)
    gains, found = figure.subplots(1, 2, sharey=True)
    for row, (title, mean, error, points) in enumerate(zip(titles, means, errors, scores, strict=False)):
        color = '#e45756' if title == chosen else '#4c78a8'
        gains.errorbar(mean, row, xerr=1.96 * error, fmt='o', markersize=4, color=color, capsize=2)
        found.plot(points, [row] * len(points), '.', color=color, alpha=0.7)
    gains.set_yticks(range(len(titles)), titles, fontsize=7)
    gains.invert_yaxis()
    gains.set_xlabel('estimated gain over all shared (mAP)\nwith 95 % interval; red is chosen', fontsize=8)
    found.set_xlabel('scores of its trainings (mAP)\nless the mean of the round and fold', fontsize=8)
    for axes in (gains, found):
        axes.axvline(0, color='black', linewidth=0.8)
        axes.grid(axis='x', alpha=0.3)
        axes.tick_params(axis='x', labelsize=8)
    figure.tight_layout()
    atomic_write(path, lambda file: figure.savefig(file, format='png'))
