# Copyright (c) mmreid contributors. All rights reserved.
"""Compares what was found on disk with what the authors of a data set published."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mmreid.utils.json_text import parse_json

# The procedural generator, whose data sets have counts of their own, writes it into each root folder.
WORLD_MANIFEST = 'world.json'


class Counts(NamedTuple):
    """Size of one split.

    Args:
        ids (int, optional): Number of identities; None where it was never published.
        images (int, optional): Number of images; None where it was never published.
    """

    ids: int | None
    images: int | None


def count_records(records: Iterable[Mapping]) -> dict[str, Counts]:
    """Counts the identities and images of records by split."""
    pids: dict[str, list[int]] = {}
    for record in records:
        pids.setdefault(record['split'], []).append(record['pid'])
    return {split: Counts(len(set(found)), len(found)) for split, found in pids.items()}


def differences(found: Mapping[str, Counts], published: Mapping[str, Counts]) -> list[str]:
    """Returns a sentence for each count that differs from a published one; splits that were not found are left out."""
    sentences = []
    for split, counts in found.items():
        for what, here, there in zip(('identities', 'images'), counts, published.get(split, (None, None)), strict=True):
            if there is not None and here != there:
                sentences.append(f'{split}: found {here:,} {what}, expected {there:,}')
    return sentences


def read_manifest(root: str | Path) -> dict | None:
    """Reads what the procedural generator wrote into the root folder of a data set; None if nothing can be read."""
    try:
        manifest = parse_json((Path(root) / WORLD_MANIFEST).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def is_procedural(image: str | Path) -> bool:
    """Returns whether a manifest above an image lists its folder; other folders beside these may hold real data."""
    image = Path(image)
    for root in image.parents:
        manifest = read_manifest(root)
        if manifest is not None:
            counts = manifest.get('counts')
            return isinstance(counts, dict) and image.relative_to(root).parts[0] in counts
    return False
