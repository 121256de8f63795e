# Copyright (c) mmreid contributors. All rights reserved.
"""How much better than "all shared" architectures are, estimated from the noisy scores of short trainings.

A score is the level of its round and held-out identities, plus the worth of the architecture, plus chance. Worths are a
Gaussian process: architectures that differ in few blocks are about as good, so that each score also tells about the
neighbors of what was trained. How large worths and chance are is estimated from the scores themselves, by restricted
maximum likelihood (Patterson and Thompson, Biometrika 1971).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .arch_space import Arch, distances

LENGTHS = (0.3, 1.0, 3.0)  # in which worths differ, as fractions of the blocks
RATIOS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)  # variance of the worths, as multiples of that of chance


@dataclass(frozen=True)
class Score:
    """The score of one short training.

    Attributes:
        arch (Arch): The architecture.
        epochs (int): Length of the training. Chance has a variance inversely proportional to it.
        fold (int): Which identities were held out.
        value (float): What the training reached on them, in percent.
    """

    arch: Arch
    epochs: int
    fold: int
    value: float


@dataclass(frozen=True)
class Gains:
    """Estimated gains over the reference, in percent.

    Attributes:
        mean (np.ndarray): Of each architecture, shape (N,).
        error (np.ndarray): Standard error of each, shape (N,).
    """

    mean: np.ndarray
    error: np.ndarray


def estimate_gains(scores: Sequence[Score], archs: Sequence[Arch], reference: Arch) -> Gains:
    """Estimates how much better architectures are than a reference, whether they were trained or not.

    Args:
        scores (Sequence[Score]): The trainings so far.
        archs (Sequence[Arch]): What to estimate.
        reference (Arch): "All shared".

    Returns:
        Gains: In the order of ``archs``.
    """
    values = np.array([score.value for score in scores])
    cells = [(score.epochs, score.fold) for score in scores]
    levels = np.array([[cell == other for other in sorted(set(cells))] for cell in cells], dtype=float)
    chance = np.diag([min(score.epochs for score in scores) / score.epochs for score in scores])
    trained = [score.arch for score in scores]
    fits = [_fit(values, levels, chance, np.exp(-distances(trained, trained) / length), ratio)
            for length in LENGTHS for ratio in RATIOS]  # fmt: skip
    best = int(np.argmax([likelihood for likelihood, *_ in fits]))
    _, variance, inverse = fits[best]
    length, ratio = LENGTHS[best // len(RATIOS)], RATIOS[best % len(RATIOS)]
    asked = [*archs, reference]
    to_trained = ratio * np.exp(-distances(asked, trained) / length)
    worth = to_trained @ inverse @ values
    covariance = variance * (ratio * np.exp(-distances(asked, asked) / length) - to_trained @ inverse @ to_trained.T)
    spread = np.diag(covariance) + covariance[-1, -1] - 2 * covariance[-1]
    return Gains(worth[:-1] - worth[-1], np.sqrt(np.maximum(spread[:-1], 0)))


def _fit(
    values: np.ndarray, levels: np.ndarray, chance: np.ndarray, likeness: np.ndarray, ratio: float
) -> tuple[float, float, np.ndarray]:
    """Returns the restricted likelihood, the variance of chance, and the inverse covariance without the levels."""
    inverse = np.linalg.inv(ratio * likeness + chance)
    information = levels.T @ inverse @ levels
    inverse_of_rest = inverse - inverse @ levels @ np.linalg.solve(information, levels.T @ inverse)
    freedom = max(len(values) - levels.shape[1], 1)
    variance = max(float(values @ inverse_of_rest @ values) / freedom, 1e-12)
    determinants = np.linalg.slogdet(information)[1] - np.linalg.slogdet(inverse)[1]
    return -0.5 * (freedom * np.log(variance) + determinants), variance, inverse_of_rest
