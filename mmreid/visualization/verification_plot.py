# Copyright (c) mmreid contributors. All rights reserved.
"""Draws the scores of matching and wrong pairs, and the ROC of verification."""

import os
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmreid.utils.atomic_io import atomic_write

SIZE = (12, 5)  # inches


def draw_verification(
    path: str | os.PathLike,
    edges: np.ndarray,
    histograms: dict[str, np.ndarray],
    roc: tuple[np.ndarray, np.ndarray],
    threshold: float,
    title: str = '',
) -> None:
    """Draws histograms with a threshold, and a ROC with a logarithmic axis; needs no display.

    Args:
        path (str | os.PathLike): A .png, .pdf or .svg file.
        edges (np.ndarray): Borders of the bins, shape (B + 1,).
        histograms (dict[str, np.ndarray]): Pairs in each bin by the name of their kind, shape (B,); each is drawn as
            fractions.
        roc (tuple[np.ndarray, np.ndarray]): False and true positive rates, ascending, shape (P,).
        threshold (float): The chosen score.
        title (str): Title. Defaults to ''.
    """
    figure = Figure(figsize=SIZE, layout='constrained')
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    scores, curve = figure.subplots(1, 2)
    for name, counts in histograms.items():
        scores.stairs(counts / max(1, counts.sum()), edges, fill=True, alpha=0.5, label=f'{name} ({counts.sum():,})')
    scores.axvline(threshold, color='black', linestyle='--', label=f'threshold {threshold:.4g}')
    scores.set(xlabel='score', ylabel='fraction of the pairs')
    scores.legend()
    false, true = roc
    shown = false > 0
    curve.step(false[shown], true[shown], where='post')
    curve.set(xlabel='false positive rate', ylabel='true positive rate', xscale='log', ylim=(0, 1.02))
    curve.grid(alpha=0.3)
    atomic_write(path, lambda file: figure.savefig(file, format=Path(path).suffix[1:]))
