# Copyright (c) mmreid contributors. All rights reserved.
"""Adds images and features to a gallery."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmreid.utils.progress import track

from ..inputs import NamedImage
from .entries import NewEntry
from .new_entries import new_entries
from .new_images import check_on_error, digests_of, extract_features, names_of
from .owned_store import OwnedStore


def add_images(
    owned: OwnedStore, images: Sequence[NamedImage], facts: Mapping[str, Any], on_error: str
) -> list[int | None]:
    """Adds images batch by batch.

    Args:
        owned (OwnedStore): The gallery, opened with its model.
        images (Sequence[NamedImage]): The images.
        facts (Mapping[str, Any]): Arguments of :func:`new_entries`.
        on_error (str): ``'skip'`` leaves out images that cannot be read; ``'raise'`` raises.

    Returns:
        list[int | None]: The key of each image; None for one that was left out.
    """
    check_on_error(on_error)
    entries = new_entries(len(images), names_of(images), **facts)
    size = owned.inferencer.batch_size
    keys: list[int | None] = []
    for start in track(range(0, len(images), size), 'adding'):
        part = slice(start, start + size)
        keys += _add_batch(owned, images[part], entries[part], on_error)
    return keys


def add_features(
    owned: OwnedStore, images: Sequence[NamedImage] | None, features: Any, facts: Mapping[str, Any]
) -> list[int]:
    """Adds features that were extracted before, all or none; ``images`` tell what they are of."""
    features = owned.to_add(features)
    if images is not None and len(images) != len(features):
        raise ValueError(f'there are {len(images)} images for {len(features)} features; give one for each')
    entries = new_entries(len(features), images and names_of(images), **facts)
    digests = [None] * len(features) if images is None else digests_of(images, 'raise')
    with owned.lock:
        return owned.store.add(entries, digests, features)


def _add_batch(
    owned: OwnedStore, images: Sequence[NamedImage], entries: Sequence[NewEntry], on_error: str
) -> list[int | None]:
    """Adds a batch; images that are in the gallery already are not extracted."""
    digests = digests_of(images, on_error)
    with owned.lock:
        known = owned.store.find([digest for digest in digests if digest is not None])
    keys: list[int | None] = [None] * len(images)
    fresh = []
    for row, digest in enumerate(digests):
        if digest in known:
            known[digest].require_same(entries[row])
            keys[row] = known[digest].key
        elif digest is not None:
            fresh.append(row)
    features = extract_features(owned.inferencer, [(images[row], entries[row].modality) for row in fresh], on_error)
    kept = [(row, feature) for row, feature in zip(fresh, features, strict=True) if feature is not None]
    if kept:
        rows = [row for row, _ in kept]
        vectors = owned.to_add(np.stack([feature for _, feature in kept]))
        with owned.lock:
            added = owned.store.add([entries[row] for row in rows], [digests[row] for row in rows], vectors)
        for row, key in zip(rows, added, strict=True):
            keys[row] = key
    return keys
