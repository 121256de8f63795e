# Copyright (c) mmreid contributors. All rights reserved.
"""Copies a gallery, for instance from a file to a server."""

import os
from dataclasses import fields

from .entries import GalleryEntry, NewEntry
from .gallery import Gallery


def copy_gallery(source: Gallery, path_or_url: str | os.PathLike, step: int = 1000) -> int:
    """Adds all entries of a gallery to another one of the same model, which is made if it is absent.

    Entries with images that are there already are not copied again, so a copy that was stopped goes on; those without
    images are copied each time. Keys are new.

    Args:
        source (Gallery): What to copy.
        path_or_url (str | PathLike): Where to, as :meth:`Gallery.open` takes it.
        step (int): Entries of a request. Defaults to 1000.

    Returns:
        int: How many entries were copied.

    Raises:
        OtherModelError: If the other gallery holds features of another model.
        ValueError: If an image is there with other facts, or both are the same gallery.
    """
    if _is_same(source.store.place, os.fspath(path_or_url)):
        raise ValueError(f'{path_or_url} is the gallery that is to be copied; give another one')
    with Gallery.open(path_or_url, source.model) as target:
        before = len(target)
        for batch in source.store.batches(size=step):
            target.store.settle(source.facts)
            target.store.add([_new(entry) for entry in batch.entries], batch.digests, batch.features)
        return len(target) - before


def _is_same(one: str, other: str) -> bool:
    return one == other or (os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other))


def _new(entry: GalleryEntry) -> NewEntry:
    return NewEntry(**{field.name: getattr(entry, field.name) for field in fields(NewEntry)})
