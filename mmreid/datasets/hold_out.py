# Copyright (c) mmreid contributors. All rights reserved.
"""Holds out training identities, so that the best checkpoint is never chosen on the test set."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np


def held_out_pids(pids: Sequence[int], ratio: float, seed: int = 0) -> set[int]:
    """Chooses the identities to hold out; the same for equal arguments, whatever the order of the images.

    Args:
        pids (Sequence[int]): Identity of each training image.
        ratio (float): Fraction of the identities, above 0 and below 1; at least one is held out.
        seed (int): Seed of the choice. Defaults to 0.

    Raises:
        ValueError: If the ratio is out of range, or too few identities are left to train on.
    """
    if not 0 < ratio < 1:
        raise ValueError(f'val_from_train has ratio={ratio}, which must lie between 0 and 1, e.g. 0.1')
    unique = np.unique(np.asarray(pids))
    count = max(1, round(ratio * len(unique)))
    if count >= len(unique):
        raise ValueError(
            f'val_from_train with ratio={ratio} would hold out {count} of {len(unique)} training identities and leave '
            'none to train on; lower the ratio'
        )
    return set(np.random.default_rng(seed).permutation(unique)[:count].tolist())


def as_query_and_gallery(records: list[dict]) -> list[dict]:
    """Turns held-out training records into queries and a gallery.

    With two modalities, the infrared images are the queries and the visible ones the gallery. Otherwise the first image
    of an identity in each camera is a query if there are more there, and all others are the gallery; of an identity
    with one image per camera, the first image is the query. ``split`` of the records is changed in place.
    """
    if {record.get('modality') for record in records} >= {'visible', 'infrared'}:
        for record in records:
            record['split'] = 'query' if record['modality'] == 'infrared' else 'gallery'
        return records
    cameras: dict[int, dict[int, list[dict]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        record['split'] = 'gallery'
        cameras[record['pid']][record['camid']].append(record)
    for of_camera in cameras.values():
        queries = [images[0] for images in of_camera.values() if len(images) > 1] or [next(iter(of_camera.values()))[0]]
        for record in queries:
            record['split'] = 'query'
    return records
