# Copyright (c) mmreid contributors. All rights reserved.
"""The rounds of a search by trainings: how many architectures each trains, for how long, and what it may cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from .arch_space import ArchSpace


@dataclass(frozen=True)
class Round:
    """A round of a search: everything it trains, it trains equally long and judges on the same identities.

    Every round trains "all shared" too, because gains are over it.

    Attributes:
        epochs (int): Length of a training.
        folds (int): How many folds of the identities are held out, one after the other; a training for each.
        keep (int): How many of the best architectures so far are trained again, besides all shared. Defaults to 0.
        new (int): How many architectures are trained for the first time; in the first round, all shared is one of
            them. Defaults to 0.
    """

    epochs: int
    folds: int
    keep: int = 0
    new: int = 0


def read_rounds(rounds: Sequence[dict], space: ArchSpace, max_epochs: int, max_trainings: float) -> list[Round]:
    """Reads the rounds of a config, and adds up what they cost.

    Args:
        rounds (Sequence[dict]): What :class:`Round` takes.
        space (ArchSpace): What is searched.
        max_epochs (int): Epochs of the training that an architecture is searched for.
        max_trainings (float): What the search may cost, as a multiple of that training.

    Returns:
        list[Round]: The rounds.

    Raises:
        ValueError: If a round has no or other keys, a number is out of range, or they cost too much.
    """
    read = []
    for number, given in enumerate(rounds):
        known = Round.__dataclass_fields__
        if not {'epochs', 'folds'} <= set(given) <= set(known) or any(
            isinstance(value, bool) or not isinstance(value, int) for value in given.values()
        ):
            raise ValueError(
                f'rounds[{number}]={dict(given)} of ShortTrainingSearchLoop must give whole numbers for epochs, folds '
                'and keep or new'
            )
        entry = Round(**given)
        if min(entry.epochs, entry.folds) < 1 or min(entry.keep, entry.new) < 0 or entry.keep + entry.new < 1:
            raise ValueError(
                f'rounds[{number}]={dict(given)} of ShortTrainingSearchLoop trains nothing; epochs, folds and one of '
                'keep and new must be at least 1'
            )
        if entry.epochs > max_epochs:
            raise ValueError(
                f'rounds[{number}] of ShortTrainingSearchLoop trains for {entry.epochs} epochs, longer than the '
                f'training that it searches for, which has max_epochs={max_epochs}'
            )
        read.append(entry)
    if not read or read[0].new < 2:
        raise ValueError('the first of the rounds of ShortTrainingSearchLoop must train at least new=2 architectures')
    epochs = most_epochs(read, space.size)
    if epochs > max_trainings * max_epochs:
        raise ValueError(
            f'the rounds of ShortTrainingSearchLoop take up to {epochs} epochs, {epochs / max_epochs:.2f} times the '
            f'{max_epochs} of a training, more than max_trainings={max_trainings}; train fewer, or for fewer epochs '
            '(each round trains all shared, too)'
        )
    return read


def most_epochs(rounds: Sequence[Round], size: int) -> int:
    """Adds up the epochs of all rounds; what a round trains again as long as before is not counted twice.

    Args:
        rounds (Sequence[Round]): The rounds.
        size (int): Number of architectures in the space.

    Returns:
        int: The epochs, or fewer where rounds happen to train the same again.
    """
    known = total = 0
    for entry in rounds:
        new = min(entry.new, size - known)
        again = min(entry.keep, known - 1) + 1 if known else 0
        total += (again + new) * entry.folds * entry.epochs
        known += new
    return total
