# Copyright (c) mmreid contributors. All rights reserved.
"""Turns the ids that people write into integers."""

from collections.abc import Sequence


def map_ids(ids: Sequence[str], dense: bool = False) -> list[int]:
    """Maps ids to integers: integers stay as they are, other strings are numbered in sorted order.

    Args:
        ids (Sequence[str]): The ids as written, one per image.
        dense (bool): Number integers from 0 in sorted order as well, as cameras need it. Defaults to False.

    Returns:
        list[int]: The integer of each id. Equal ids get equal integers.

    Examples:
        >>> map_ids(['7', '7', '12'])
        [7, 7, 12]
        >>> map_ids(['bob', 'anna', 'bob'])
        [1, 0, 1]
    """
    ids = [text.strip() for text in ids]
    try:
        numbers = [int(text) for text in ids]
    except ValueError:
        order = {text: number for number, text in enumerate(sorted(set(ids)))}
        return [order[text] for text in ids]
    if not dense:
        return numbers
    order = {number: rank for rank, number in enumerate(sorted(set(numbers)))}
    return [order[number] for number in numbers]
