# Copyright (c) mmreid contributors. All rights reserved.
"""Turns the ids of users into integers."""

import logging
import re
from collections.abc import Sequence

from mmengine.logging import print_log

# Far below the limit of int64, as joined data sets lay their ids end to end.
MAX_ID = 10**17


def map_ids(ids: Sequence[str], dense: bool = False) -> list[int]:
    """Maps ids to integers: integers stay as they are, other strings are numbered in sorted order.

    Different texts stay different: all are numbered if two would be the same integer ('7' and '07'), or if one has
    more than 17 digits.

    Args:
        ids (Sequence[str]): The ids as written, one per image.
        dense (bool): Whether to number integers from 0 in sorted order as well, for cameras. Defaults to False.

    Returns:
        list[int]: The integer of each id.

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
    """Numbers cameras from 0, and deals with images whose camera is unknown.

    If no image has a camera, all get camera 0. If some have none, a test set is refused: matches in the query's own
    camera do not count, so it must be known. For training, such images become one more camera.

    Args:
        cameras (Sequence[str]): Camera of each image as written, '' if unknown.
        known (Sequence[str]): All cameras to number, including those of other splits.
        places (Sequence[str]): Where each image is listed, for the message.
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
                f'{text}; testing leaves out matches in the camera of the query, so it must be known: {remedy} '
                '(with a single camera nothing is left out)'
            )
        print_log(f'{text}; for training they are one more camera', logger='current', level=logging.WARNING)
    return [numbers.get(camera, len(numbers)) for camera in cameras]
