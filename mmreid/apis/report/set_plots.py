# Copyright (c) mmreid contributors. All rights reserved.
"""The plots of a test set: all models in each, seeds as mean and standard deviation."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mmreid.apis.calibration import points_of
from mmreid.evaluation.analysis import RECALLS
from mmreid.visualization.svg_plots import Line, draw_histograms, draw_lines

from .findings import Findings

RATES = np.geomspace(1e-5, 1, 121)  # false positive rates


def plots_of(models: Mapping[str, Sequence[Findings]]) -> dict[str, str | None]:
    """Draws CMC, precision-recall and ROC of all models.

    Args:
        models (Mapping[str, Sequence[Findings]]): Findings of the seeds of each model.

    Returns:
        dict[str, str | None]: ``cmc``, ``precision_recall`` and ``roc`` as ``<svg>`` elements; None where there is
        nothing to draw.
    """
    longest = max(len(one.cmc) for found in models.values() for one in found)
    cmc = _lines(models, np.arange(1, longest + 1), lambda one: np.pad(one.cmc, (0, longest - len(one.cmc)), 'edge'))
    precision = _lines(models, RECALLS, lambda one: one.precision)
    known = {name: [one for one in found if one.calibration] for name, found in models.items()}
    known = {name: found for name, found in known.items() if found}
    wrong = min((one.calibration.curve.num_other for found in known.values() for one in found), default=1)
    rates = RATES[RATES * wrong >= 1]
    true = _lines(known, rates, lambda one: _true_rates(one, rates))
    roc = draw_lines(true, 'false positive rate', 'true positive rate', log_x=True, y_limits=(0, 1.01))
    lowest = min((float(line.y.min()) for line in cmc), default=0.0)
    return dict(
        cmc=draw_lines(cmc, 'rank', 'queries with a match up to there', y_limits=(max(0.0, lowest - 0.1), 1.01)),
        precision_recall=draw_lines(precision, 'recall', 'precision', x_percent=True, y_limits=(0, 1.01)),
        roc=roc if true else None,
    )


def histogram_of(found: Findings) -> str | None:
    """Draws the scores of same and different people as an ``<svg>`` element; None if there are none."""
    if found.calibration is None:
        return None
    histograms, threshold = found.calibration.histograms, found.calibration.curve.at_eer().threshold
    return draw_histograms(found.calibration.edges, histograms['same'], histograms['different'], threshold)


def _lines(
    models: Mapping[str, Sequence[Findings]], x: np.ndarray, values: Callable[[Findings], np.ndarray]
) -> list[Line]:
    lines = []
    for name, found in models.items():
        table = np.stack([values(one) for one in found])
        spread = table.std(0, ddof=1) if len(found) > 1 else None
        label = f'{name} ({len(found)} seeds)' if len(found) > 1 else name
        lines.append(Line(label, x, table.mean(0), spread))
    return lines


def _true_rates(found: Findings, rates: np.ndarray) -> np.ndarray:
    """Returns the true positive rate at each false positive rate."""
    false, true = np.array(points_of(found.calibration.curve)).T
    return np.interp(rates, false, true)
