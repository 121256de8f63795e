# Copyright (c) mmreid contributors. All rights reserved.
"""Turns the ids that people write into integers."""

import re
from collections.abc import Sequence


def map_ids(ids: Sequence[str], dense: bool = False) -> list[int]:
    """Maps ids to integers: integers stay as they are, other strings are numbered in sorted order.

    Different texts stay different: where two would be the same integer ('7' and '07'), all are numbered.

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
    texts = set(ids)
    if not all(re.fullmatch(r'-?[0-9]+', text) for text in texts) or len(set(map(int, texts))) < len(texts):
        order = {text: number for number, text in enumerate(sorted(texts))}
        return [order[text] for text in ids]
    numbers = [int(text) for text in ids]
    if not dense:
        return numbers
    order = {number: rank for rank, number in enumerate(sorted(set(numbers)))}
    return [order[number] for number in numbers]
