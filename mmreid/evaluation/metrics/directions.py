# Copyright (c) mmreid contributors. All rights reserved.
"""Directions of cross-modality retrieval: the modality of the queries and the modality of the gallery."""

from collections import Counter
from collections.abc import Mapping, Sequence

from mmreid.evaluation.retrieval_set import RetrievalSet

Modalities = Mapping[str, tuple[str, str]]


def read_directions(directions: str | Sequence[str], known: Modalities, owner: str) -> tuple[str, ...]:
    """Returns an option of ``owner`` that names directions as a tuple; raises ValueError unless all are known."""
    names = (directions,) if isinstance(directions, str) else tuple(directions)
    if not names or set(names) - set(known):
        raise ValueError(f'directions={directions!r} of {owner} is unknown; use {" and/or ".join(map(repr, known))}')
    return names


def take_direction(
    query: RetrievalSet, gallery: RetrievalSet, modalities: tuple[str, str]
) -> tuple[RetrievalSet, RetrievalSet]:
    """Returns query and gallery with these modalities, swapped if need be.

    Raises:
        ValueError: If the test set does not have these modalities; the message counts what it has.
    """
    roles = dict(query=query.modality or [None] * len(query), gallery=gallery.modality or [None] * len(gallery))
    found = tuple(map(set, roles.values()))
    wanted = tuple({modality} for modality in modalities)
    if found == wanted:
        return query, gallery
    if found == wanted[::-1]:
        return gallery, query
    counts = [
        f'{role} has ' + ', '.join(f'{count} {name or "unlabeled"}' for name, count in Counter(values).items())
        for role, values in roles.items()
    ]
    raise ValueError(
        f'one side of the test set must be all {modalities[0]} and the other all {modalities[1]}, but the '
        f'{" images and the ".join(counts)} images'
    )
