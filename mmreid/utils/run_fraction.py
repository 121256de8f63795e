# Copyright (c) mmreid contributors. All rights reserved.
"""Settings that count epochs, or say as a fraction where in the run they are."""

import math


def count_of_run(value: int | float, length: int, name: str) -> int:
    """Turns a fraction of the run into a count; a whole number is a count already.

    Args:
        value (int or float): A count, or as a float a fraction from 0 to 1, e.g. 0.5 for the middle of the run.
        length (int): Epochs or iterations of the run.
        name (str): The setting, for messages.

    Returns:
        int: Epochs or iterations, the nearest to the fraction.

    Raises:
        ValueError: If a float is not between 0 and 1.
    """
    if not isinstance(value, float):
        return value
    check_fraction(value, name)
    return math.floor(value * length + 0.5)


def check_fraction(value: int | float, name: str) -> None:
    """Refuses a float that is no fraction of a run.

    Args:
        value (int or float): See :func:`count_of_run`.
        name (str): The setting, for messages.

    Raises:
        ValueError: If a float is not between 0 and 1.
    """
    if isinstance(value, float) and not 0 <= value <= 1:
        raise ValueError(
            f'{name}={value} is a float, which is a fraction of the run and lies between 0 and 1; write a count as a '
            'whole number, without a point'
        )
