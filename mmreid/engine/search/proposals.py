# Copyright (c) mmreid contributors. All rights reserved.
"""Which architectures a round of a search trains: all of a small space, the best so far, and their offspring."""

from collections.abc import Collection, Sequence

import numpy as np

from .arch_space import Arch, ArchSpace
from .gain_model import Score, estimate_gains

PARENTS = 8
OFFSPRING = 50  # drawn for each that is wanted


def archs_of_round(
    keep: int,
    new: int,
    first: Sequence[Arch],
    excluded: Collection[Arch],
    scores: Sequence[Score],
    space: ArchSpace,
    seed: int,
) -> list[Arch]:
    """Lists what a round trains: all shared, which gains are over, the best so far, and new ones.

    Args:
        keep (int): How many of the best, besides all shared.
        new (int): How many new ones, see :func:`propose`; in the first round, all shared is one of them.
        first (Sequence[Arch]): See :func:`propose`.
        excluded (Collection[Arch]): See :func:`propose`.
        scores (Sequence[Score]): The trainings so far.
        space (ArchSpace): What is searched.
        seed (int): Seed of the draws.

    Returns:
        list[Arch]: Each once, all shared first.
    """
    shared = space.all_shared()
    best = [arch for arch in best_first(scores, space) if arch != shared][:keep]
    others = [*best, *propose(new, first, excluded, scores, space, seed)]
    return [shared, *(arch for arch in others if arch != shared)]


def best_first(scores: Sequence[Score], space: ArchSpace) -> list[Arch]:
    """Sorts the trained architectures by their estimated gain over all shared, the best first.

    Args:
        scores (Sequence[Score]): The trainings so far.
        space (ArchSpace): What is searched.

    Returns:
        list[Arch]: Each once. Equals stay in the order of their first training.
    """
    archs = list(dict.fromkeys(score.arch for score in scores))
    if not archs:
        return []
    gains = estimate_gains(scores, archs, space.all_shared()).mean
    return [archs[place] for place in np.argsort(-gains, kind='stable')]


def propose(
    count: int, first: Sequence[Arch], excluded: Collection[Arch], scores: Sequence[Score], space: ArchSpace, seed: int
) -> list[Arch]:
    """Chooses architectures that were not trained yet.

    All that are left, if they are no more than ``count``. Otherwise ``first``, then: without scores, architectures that
    split one block or leave one shared, and random ones; with scores, crossings and mutations of the best, of which
    those are taken whose estimated gain plus one standard error is greatest.

    Args:
        count (int): How many, if there are as many.
        first (Sequence[Arch]): Those to begin with.
        excluded (Collection[Arch]): Those that are never proposed.
        scores (Sequence[Score]): The trainings so far.
        space (ArchSpace): What is searched.
        seed (int): Seed of the draws.

    Returns:
        list[Arch]: New architectures.
    """
    done = {score.arch for score in scores} | set(excluded)
    if space.size - len(done) <= count:
        return [arch for arch in map(space.architecture, range(space.size)) if arch not in done]
    rng = np.random.default_rng([seed, len(scores)])
    chosen = [arch for arch in dict.fromkeys(first) if arch not in done][:count]
    if not scores:
        chosen += [arch for arch in _simple(space) if arch not in done and arch not in chosen][: count - len(chosen)]
    parents = best_first(scores, space)[:PARENTS]
    draws = (_child(parents, rng) if parents else _random(space, rng) for _ in range(OFFSPRING * (count - len(chosen))))
    drawn = [arch for arch in dict.fromkeys(draws) if arch not in done and arch not in chosen]
    if scores and drawn:
        gains = estimate_gains(scores, drawn, space.all_shared())
        drawn = [drawn[place] for place in np.argsort(-(gains.mean + gains.error), kind='stable')]
    return chosen + drawn[: count - len(chosen)]


def _simple(space: ArchSpace) -> list[Arch]:
    """All shared, all split, and what differs from one of them in one block."""
    size = len(space.blocks)
    one = [tuple(place == other for other in range(size)) for place in range(size)]
    return [*(tuple(state ^ flip for state in arch) for flip in (False, True) for arch in (space.all_shared(), *one))]


def _random(space: ArchSpace, rng: np.random.Generator) -> Arch:
    return tuple((rng.random(len(space.blocks)) < 0.5).tolist())


def _child(parents: Sequence[Arch], rng: np.random.Generator) -> Arch:
    """Takes each block from one of two parents, and changes about one."""
    pair = np.asarray(parents, dtype=bool)[rng.integers(len(parents), size=2)]
    size = pair.shape[1]
    child = np.where(rng.random(size) < 0.5, *pair) ^ (rng.random(size) < 1 / size)
    return tuple(child.tolist())
