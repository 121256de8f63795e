# Copyright (c) mmreid contributors. All rights reserved.
"""Compares what was found on disk with what the authors of a data set published."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mmreid.utils.json_text import parse_json

# Written by the procedural generator into the root folder of each of its data sets.
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
    """Counts identities and images of each split.

    Args:
        records (Iterable[Mapping]): Records with ``pid`` and ``split``.

    Returns:
        dict[str, Counts]: Counts by split.
    """
    pids: dict[str, list[int]] = {}
    for record in records:
        pids.setdefault(record['split'], []).append(record['pid'])
    return {split: Counts(len(set(found)), len(found)) for split, found in pids.items()}


def differences(found: Mapping[str, Counts], published: Mapping[str, Counts]) -> list[str]:
    """Says where the counts are others than the published ones.

    Args:
        found (Mapping[str, Counts]): Counts by split, see :func:`count_records`.
        published (Mapping[str, Counts]): Published counts by split; splits that were not found are left out.

    Returns:
        list[str]: One sentence a number that differs.
    """
    sentences = []
    for split, counts in found.items():
        for what, here, there in zip(('identities', 'images'), counts, published.get(split, (None, None)), strict=True):
            if there is not None and here != there:
                sentences.append(f'{split}: found {here:,} {what}, expected {there:,}')
    return sentences


def read_manifest(root: str | Path) -> dict | None:
    """Reads what the procedural generator wrote into a folder.

    Args:
        root (str | Path): Root folder of a data set.

    Returns:
        dict | None: The manifest; None if the folder has none that can be read.
    """
    try:
        manifest = parse_json((Path(root) / WORLD_MANIFEST).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def is_procedural(image: str | Path) -> bool:
    """Tells whether an image was written by the procedural generator, whose data sets have counts of their own.

    Args:
        image (str | Path): The image.

    Returns:
        bool: True if a manifest above it lists its folder; another folder beside these may hold real data.
    """
    image = Path(image)
    for root in image.parents:
        manifest = read_manifest(root)
        if manifest is not None:
            counts = manifest.get('counts')
            return isinstance(counts, dict) and image.relative_to(root).parts[0] in counts
    return False
