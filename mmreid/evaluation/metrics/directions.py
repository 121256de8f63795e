# Copyright (c) mmreid contributors. All rights reserved.
"""Which modality looks for which."""

from collections import Counter
from collections.abc import Mapping, Sequence

from .sides import Side

Modalities = Mapping[str, tuple[str, str]]


def read_directions(directions: str | Sequence[str], known: Modalities, owner: str) -> tuple[str, ...]:
    """Checks an option that names directions.

    Args:
        directions (str | Sequence[str]): One or several.
        known (Modalities): Names of all to the modality of their queries and of their gallery.
        owner (str): Whose option it is, for messages.

    Returns:
        tuple[str, ...]: The directions.

    Raises:
        ValueError: If there is none, or an unknown one.
    """
    names = (directions,) if isinstance(directions, str) else tuple(directions)
    if not names or set(names) - set(known):
        raise ValueError(f'directions={directions!r} of {owner} is unknown; use {" and/or ".join(map(repr, known))}')
    return names


def take_direction(query: Side, gallery: Side, modalities: tuple[str, str]) -> tuple[Side, Side]:
    """Gives query and gallery their roles in a direction.

    Args:
        query (Side): The queries of the test set, in whichever direction that is.
        gallery (Side): Its gallery.
        modalities (tuple[str, str]): Modality of the queries and of the gallery that are asked for.

    Returns:
        tuple[Side, Side]: Query and gallery, swapped if need be.

    Raises:
        ValueError: If these modalities are not there, with counts.
    """
    for sides in ((query, gallery), (gallery, query)):
        if all(set(side['modality']) == {wanted} for side, wanted in zip(sides, modalities, strict=True)):
            return sides
    found = []
    for role, side in (('query', query), ('gallery', gallery)):
        counts = Counter(side['modality']).items()
        found.append(f'{role} has ' + ', '.join(f'{count} {name or "unlabeled"}' for name, count in counts))
    raise ValueError(
        f'one side of the test set must be all {modalities[0]} and the other all {modalities[1]}, but the '
        f'{" images and the ".join(found)} images'
    )
