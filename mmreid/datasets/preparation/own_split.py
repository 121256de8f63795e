# Copyright (c) mmreid contributors. All rights reserved.
"""Divides own images into training, validation, query and gallery; nobody is in both training and test."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mmreid.datasets.hold_out import as_query_and_gallery
from mmreid.datasets.synthetic.streams import stream

LEAST = 2  # a single identity cannot be confused with anybody


@dataclass(frozen=True)
class SplitPlan:
    """How images are divided.

    Attributes:
        test_ids (float | int): Fraction (a float below 1) or number (an int) of the identities to test on.
        val_ids (float | int): The same for validation; 0 for none.
        query_per_cam (int): Queries of an identity in each camera; at least one gallery image is left there.
        leftover (str): Where to put identities that cannot be queries: ``'train'`` or ``'gallery'``.
        ignore_cameras (bool): Whether images of the same camera count as matches, as if there were no cameras.
        seed (int): Seed of the choice of identities and queries.

    Raises:
        ValueError: If a number is out of range.
    """

    test_ids: float | int = 0.5
    val_ids: float | int = 0
    query_per_cam: int = 1
    leftover: str = 'train'
    ignore_cameras: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ('test_ids', 'val_ids'):
            value = getattr(self, name)
            if not value >= 0 or (isinstance(value, float) and value >= 1):  # NaN fails too
                raise ValueError(f'{name}={value} must be a fraction between 0 and 1, such as 0.5, or a whole number')
        if not self.test_ids:
            raise ValueError(f'test_ids={self.test_ids} leaves nobody to test on; give a fraction above 0 or a number')
        if self.query_per_cam < 1 or self.seed < 0:
            raise ValueError(
                f'query_per_cam={self.query_per_cam} must be 1 or more and seed={self.seed} must not be negative'
            )
        if self.leftover not in ('train', 'gallery'):
            raise ValueError(f"leftover='{self.leftover}' is unknown; use 'train' or 'gallery'")


def split_rows(
    rows: Iterable[dict], plan: SplitPlan, distractors: Iterable[str] = ()
) -> tuple[list[dict], dict[str, int]]:
    """Divides images; each identity is in only one of training, validation and test.

    The result depends on the images and the plan, not on the order of the rows. Only identities that can be queries are
    tested on: each of their queries has a match in the gallery, in another camera if there are cameras. With two
    modalities, the infrared images are the queries and the visible ones the gallery.

    Args:
        rows (Iterable[dict]): Images with the texts ``img_path``, ``pid``, ``camid`` ('' if unknown) and optionally
            ``modality``.
        plan (SplitPlan): How to divide them.
        distractors (Iterable[str]): Pids that only go to the gallery. Defaults to ().

    Returns:
        tuple[list[dict], dict[str, int]]: The rows sorted by path, each with ``split`` (train, val, query, gallery);
        and how many identities cannot be queries (``leftover``) or are distractors (``distractors``).

    Raises:
        ValueError: If there are too few identities, with the numbers.
    """
    rows = sorted((dict(row) for row in rows), key=lambda row: row['img_path'])
    for row in rows:
        row['_camera'] = '' if plan.ignore_cameras else row['camid']
    crossing = len({row['_camera'] for row in rows}) > 1
    people: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        people[row['pid']].append(row)
    distractors = set(distractors) & people.keys()
    candidates = sorted(people.keys() - distractors)
    able = []
    for pid in candidates:
        _choose_queries(people[pid], plan, crossing)
        if _can_be_scored(people[pid], crossing):
            able.append(pid)
    groups = _draw(able, len(candidates), plan, crossing)
    for row in rows:
        if row['pid'] in distractors:
            row['split'] = 'gallery'
        elif row['pid'] not in groups:
            row['split'] = plan.leftover
        elif groups[row['pid']] != 'test':
            row['split'] = groups[row['pid']]
        del row['_camera']
    return rows, dict(leftover=len(candidates) - len(able), distractors=len(distractors))


def _choose_queries(rows: Sequence[dict], plan: SplitPlan, crossing: bool) -> None:
    """Sets ``split`` of the rows of one identity, sorted by path, to query or gallery."""
    if {row.get('modality') for row in rows} >= {'visible', 'infrared'}:
        as_query_and_gallery(list(rows))
        return
    cameras: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        row['split'] = 'gallery'
        cameras[row['_camera']].append(row)
    rng = stream(plan.seed, 'query', rows[0]['pid'])
    queries = []
    for camera in sorted(cameras):
        shuffled = rng.permutation(len(cameras[camera]))
        queries += [cameras[camera][index] for index in shuffled[: min(plan.query_per_cam, len(shuffled) - 1)]]
    if not queries and crossing and len(cameras) > 1:  # one image in each camera
        queries = [cameras[sorted(cameras)[rng.integers(len(cameras))]][0]]
    for row in queries:
        row['split'] = 'query'


def _can_be_scored(rows: Sequence[dict], crossing: bool) -> bool:
    queries = [row['_camera'] for row in rows if row['split'] == 'query']
    gallery = {row['_camera'] for row in rows if row['split'] == 'gallery'}
    return bool(queries) and all(gallery - {camera} if crossing else gallery for camera in queries)


def _draw(able: list[str], total: int, plan: SplitPlan, crossing: bool) -> dict[str, str]:
    """Draws identities to test, validate and train on from those that can be queries."""
    need = 'images in two cameras' if crossing else 'two images'
    counts = {
        name: round(value * len(able)) if isinstance(value, float) else value
        for name, value in (('test', plan.test_ids), ('val', plan.val_ids))
    }
    trained = (total if plan.leftover == 'train' else len(able)) - counts['test'] - counts['val']
    few = [name for name in counts if (name == 'test' or plan.val_ids) and counts[name] < LEAST]
    if few or trained < LEAST or counts['test'] + counts['val'] > len(able):
        alone = ', or use --ignore-cameras to count matches in the same camera' if crossing and not able else ''
        raise ValueError(
            f'of {total} identities, {len(able)} can be queries ({need}); test_ids={plan.test_ids} and '
            f'val_ids={plan.val_ids} make {counts["test"]} for testing, {counts["val"]} for validation and {trained} '
            f'for training, but each part needs at least {LEAST}: change the fractions, or add images{alone}'
        )
    order = np.random.default_rng(plan.seed).permutation(len(able)).tolist()
    parts = ['test'] * counts['test'] + ['val'] * counts['val']
    parts += ['train'] * (len(able) - len(parts))
    return {able[index]: part for index, part in zip(order, parts, strict=True)}
