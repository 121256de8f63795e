# Copyright (c) mmreid contributors. All rights reserved.
"""Who looks for whom, and why some cannot find anybody."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from .sides import Side


@dataclass
class Search:
    """Queries that look into one or several galleries of the same images.

    Attributes:
        query (Side): The queries.
        gallery (Side): All images that galleries are drawn from.
        galleries (dict[str, list[torch.Tensor | None]]): For each row of the table, the gallery of each trial: indices
            of images, or None for all. The row of a metric that has but one is ``''``.
    """

    query: Side
    gallery: Side
    galleries: dict[str, list[torch.Tensor | None]]


def explain_lost(query: Side, gallery: Side, valid: torch.Tensor, where_hidden: Callable[[int], str]) -> str:
    """Says why queries cannot be scored.

    Args:
        query (Side): The queries.
        gallery (Side): Their gallery.
        valid (torch.Tensor): Which queries can be scored, shape (Q,), bool.
        where_hidden (Callable[[int], str]): Says, for a number of cameras, where matches are that do not count.

    Returns:
        str: Counts and causes.
    """
    absent = ~torch.isin(query['pid'], gallery['pid'])
    hidden = int((~valid & ~absent).sum())
    parts = [f'{int((~valid).sum())} of {len(valid)} queries have no match to find']
    if absent.any():
        hint = ': do both use the same ids?' if absent.all() else ''
        parts.append(f'{int(absent.sum())} have an identity that is absent from the gallery{hint}')
    if hidden:
        cameras = len(torch.cat([query['camid'], gallery['camid']]).unique())
        parts.append(f'{hidden} have all their matches {where_hidden(cameras)}')
    return '; '.join(parts)
