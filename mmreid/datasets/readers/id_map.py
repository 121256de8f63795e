# Copyright (c) mmreid contributors. All rights reserved.
"""Turns the ids that people write into integers."""

import logging
import re
from collections.abc import Sequence

from mmengine.logging import print_log

# Far below the end of int64, as several data sets that are joined lay their ids end to end.
MAX_ID = 10**17


def map_ids(ids: Sequence[str], dense: bool = False) -> list[int]:
    """Maps ids to integers: integers stay as they are, other strings are numbered in sorted order.

    Different texts stay different: where two would be the same integer ('7' and '07'), all are numbered. So they are
    where one has more than 17 digits.

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
    if not all(re.fullmatch(r'-?[0-9]{1,17}', text) for text in texts) or len(set(map(int, texts))) < len(texts):
        order = {text: number for number, text in enumerate(sorted(texts))}
        return [order[text] for text in ids]
    numbers = [int(text) for text in ids]
    if not dense:
        return numbers
    order = {number: rank for rank, number in enumerate(sorted(set(numbers)))}
    return [order[number] for number in numbers]


def map_cameras(
    cameras: Sequence[str], known: Sequence[str], places: Sequence[str], remedy: str, training: bool
) -> list[int]:
    """Numbers cameras from 0, and deals with images whose camera was not given.

    If no image has a camera, all have camera 0. If some have none, a test set is refused: matches in the query's own
    camera are left out, and which these are could not be told. For training such images become one more camera.

    Args:
        cameras (Sequence[str]): Camera of each image as written, '' where it was not given.
        known (Sequence[str]): All cameras that are to be numbered, those of other splits included.
        places (Sequence[str]): Where each image was named, for the message.
        remedy (str): What the user can do, for the message.
        training (bool): Whether the images are for training.

    Returns:
        list[int]: Camera of each image.

    Raises:
        ValueError: If some test images have a camera and some have none.
    """
    names = sorted({name for name in (*known, *cameras) if name})
    numbers = dict(zip(names, map_ids(names, dense=True), strict=True))
    unknown = [place for place, camera in zip(places, cameras, strict=True) if not camera]
    if len(unknown) == len(cameras):
        return [0] * len(cameras)
    if unknown:
        text = f'{len(unknown)} of {len(cameras)} images have no camera, the first is {unknown[0]}'
        if not training:
            raise ValueError(
                f'{text}; testing leaves out matches in the own camera of a query and has to know it: {remedy} '
                '(then there is one camera and nothing is left out)'
            )
        print_log(f'{text}; for training they are one more camera', logger='current', level=logging.WARNING)
    return [numbers.get(camera, len(numbers)) for camera in cameras]
