# Copyright (c) mmreid contributors. All rights reserved.
"""What a search by trainings has found so far: the choice, a table and a plot."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from terminaltables import AsciiTable

from .arch_space import Arch, ArchSpace
from .gain_model import Score, estimate_gains
from .proposals import best_first

SHOWN = 12


@dataclass(frozen=True)
class Candidate:
    """An architecture that a search has trained.

    Attributes:
        arch (Arch): The architecture.
        gain (float): Estimated gain over all shared, in percent.
        error (float): Standard error of the gain.
        scores (list[Score]): Its trainings.
    """

    arch: Arch
    gain: float
    error: float
    scores: list[Score]


def candidates_of(scores: Sequence[Score], space: ArchSpace) -> list[Candidate]:
    """Sorts what was trained by its estimated gain, the best first."""
    archs = best_first(scores, space)
    gains = estimate_gains(scores, archs, space.all_shared())
    own = {arch: [score for score in scores if score.arch == arch] for arch in archs}
    return [
        Candidate(arch, float(gain), float(error), own[arch])
        for arch, gain, error in zip(archs, gains.mean, gains.error, strict=True)
    ]


def choose(candidates: Sequence[Candidate], space: ArchSpace, min_errors: float) -> Arch:
    """Chooses the best candidate if its gain is more than ``min_errors`` standard errors, else all shared."""
    best = candidates[0]
    return best.arch if best.gain > min_errors * best.error else space.all_shared()


def gain_table(candidates: Sequence[Candidate], space: ArchSpace, chosen: Arch) -> str:
    """Formats the best candidates, all shared and the chosen one as a table for the terminal."""
    shown = [
        (place, candidate)
        for place, candidate in enumerate(candidates, 1)
        if place <= SHOWN or candidate.arch in (chosen, space.all_shared())
    ]
    rows = [['', 'split', 'gain over all shared', 'trainings', 'longest', 'mean mAP there']]
    for place, candidate in shown:
        longest = max(score.epochs for score in candidate.scores)
        there = mean(score.value for score in candidate.scores if score.epochs == longest)
        mark = '*' if candidate.arch == chosen else str(place)
        gain = f'{candidate.gain:+.2f} ± {candidate.error:.2f}'
        rows.append(
            [mark, space.title(candidate.arch), gain, len(candidate.scores), f'{longest} epochs', f'{there:.2f}']
        )
    return AsciiTable(rows).table


def draw_candidates(path: Path, candidates: Sequence[Candidate], space: ArchSpace, chosen: Arch) -> None:
    """Draws the candidates, see :func:`mmreid.visualization.gain_plot.draw_gains`."""
    from mmreid.visualization.gain_plot import draw_gains  # here, because matplotlib loads slowly

    cells = defaultdict(list)
    for score in (score for candidate in candidates for score in candidate.scores):
        cells[score.epochs, score.fold].append(score.value)
    draw_gains(
        path,
        titles=[space.title(candidate.arch) for candidate in candidates],
        means=[candidate.gain for candidate in candidates],
        errors=[candidate.error for candidate in candidates],
        scores=[
            [score.value - mean(cells[score.epochs, score.fold]) for score in candidate.scores]
            for candidate in candidates
        ],
        chosen=space.title(chosen),
    )
