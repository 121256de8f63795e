# Copyright (c) mmreid contributors. All rights reserved.
"""Turns findings into plain data for the page. Images are numbers of the image table."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmreid.evaluation.retrieval_set import RetrievalSet

from .findings import Findings
from .image_table import ImageTable

MOST = 40  # suspects and confusions of a kind that are shown
EXAMPLES = 6  # images of a side of a suspect


class SetData:
    """The data of one test set and one model.

    Args:
        found (Findings): What was found out.
        images (ImageTable): Gets the images that are shown.
        num_queries (int): Queries with ranked lists.
        topk (int): Gallery images of each.
    """

    def __init__(self, found: Findings, images: ImageTable, num_queries: int, topk: int) -> None:
        self.found, self.images, self.num_queries, self.topk = found, images, num_queries, topk
        self.sides = found.query, found.gallery
        self.pid_names = _names(self.sides, 'pid', 'pid_name')
        self.camid_names = _names(self.sides, 'camid', 'camid_name')

    def content(self) -> dict[str, Any]:
        """Returns everything about the model on this test set, except its plots."""
        labels = self.found.labels
        return dict(
            cameras=self._cameras(),
            confusions=[self._confusion(entry) for entry in self.found.confusions[:MOST]],
            num_confusions=len(self.found.confusions),
            same=[self._same(entry) for entry in labels.get('same', [])[:MOST]],
            two=[self._two(entry) for entry in labels.get('two', [])[:MOST]],
            wrong=[self._wrong(entry) for entry in labels.get('wrong', [])[:MOST]],
            copies=[[self._image(index) for index in group[:EXAMPLES]] for group in self._copies()[:MOST]],
            num_suspects={kind: len(entries) for kind, entries in labels.items()},
            lists=[self._list(query) for query in choose_queries(self.found.ranking, self.num_queries)],
            num_lists=self.found.ranking.num_valid,
        )

    def _copies(self) -> list[list[int]]:
        """Groups of equal files; those with several identities, which is an error of the labels, come first."""
        return sorted(self.found.labels.get('copies', []), key=lambda group: -len({self._pid(i) for i in group}))

    def _pid(self, index: int) -> int:
        side, at = self._at(index)
        return int(side.pid[at])

    def _at(self, index: int) -> tuple[RetrievalSet, int]:
        num_query = len(self.sides[0])
        return (self.sides[0], index) if index < num_query else (self.sides[1], index - num_query)

    def _image(self, index: int) -> list[Any]:
        """Returns number, identity and camera of an image; queries are counted first, then the gallery."""
        side, at = self._at(index)
        names = self.pid_names[int(side.pid[at])], self.camid_names[int(side.camid[at])]
        return [self.images.add(side.img_path[at]), *names]

    def _gallery(self, index: int) -> list[Any]:
        return self._image(len(self.sides[0]) + index)

    def _cameras(self) -> dict[str, Any] | None:
        pairs = self.found.cameras
        if pairs is None:
            return None
        return dict(
            query=[self.camid_names[camera] for camera in pairs.query],
            gallery=[self.camid_names[camera] for camera in pairs.gallery],
            values={'mAP': _percent(pairs.mean_ap), 'Rank-1': _percent(pairs.rank1)},
            count=pairs.num_queries.tolist(),
        )

    def _confusion(self, entry: Any) -> dict[str, Any]:
        return dict(
            pids=[self.pid_names[pid] for pid in entry.pids],
            share=entry.share,
            count=entry.count,
            score=entry.score,
            images=[self._image(entry.query), self._gallery(entry.image)],
        )

    def _same(self, entry: Any) -> dict[str, Any]:
        groups = [[self._image(index) for index in _spread(group, EXAMPLES)] for group in entry.examples]
        return dict(
            pids=[self.pid_names[pid] for pid in entry.pids], alike=entry.alike, apart=entry.apart, groups=groups
        )

    def _two(self, entry: Any) -> dict[str, Any]:
        groups = [[self._image(index) for index in _spread(group, EXAMPLES)] for group in entry.groups]
        numbers = dict(alike=entry.alike, within=entry.within, sizes=[len(group) for group in entry.groups])
        return dict(pid=self.pid_names[entry.pid], groups=groups, by_camera=entry.by_camera, **numbers)

    def _wrong(self, entry: Any) -> dict[str, Any]:
        of_pid = {
            pid: [i for i in (torch.cat([side.pid for side in self.sides]) == pid).nonzero().flatten().tolist()
                  if i != entry.image]
            for pid in (entry.pid, entry.looks_like)
        }  # fmt: skip
        groups = [[self._image(index) for index in _spread(of_pid[pid], EXAMPLES)] for pid in of_pid]
        names = dict(pid=self.pid_names[entry.pid], looks_like=self.pid_names[entry.looks_like])
        return dict(image=self._image(entry.image), alike=entry.alike, own=entry.own, groups=groups, **names)

    def _list(self, query: int) -> dict[str, Any]:
        ranking = self.found.ranking
        pid, there = int(self.sides[0].pid[query]), ranking.top[query, : self.topk] >= 0
        top = ranking.top[query, : self.topk][there].tolist()
        scores = ranking.top_scores[query, : self.topk][there].tolist()
        shown = [
            [*self._gallery(image), round(score, 4), int(self.sides[1].pid[image]) == pid]
            for image, score in zip(top, scores, strict=True)
        ]
        first, matches = int(ranking.first_match[query]), int(ranking.num_matches[query])
        return dict(
            query=self._image(query), ap=100 * float(ranking.ap[query]), first=first, matches=matches, images=shown
        )


def choose_queries(ranking: Any, count: int) -> list[int]:
    """Chooses queries to show, the lowest AP first: half are the hardest, the others go up to the easiest."""
    valid = ranking.valid.nonzero().flatten()
    order = valid[ranking.ap[valid].argsort(stable=True)].tolist()
    if len(order) <= count:
        return order
    half = (count + 1) // 2
    return order[:half] + [order[place] for place in np.linspace(half, len(order) - 1, count - half).astype(int)]


def table_rows(found: Sequence[Findings]) -> list[dict[str, Any]]:
    """Makes the rows of the table: one for each row and post-processing of a test set, averaged over seeds.

    Args:
        found (Sequence[Findings]): The findings of all seeds of one model on one test set.

    Returns:
        list[dict[str, Any]]: ``row``, ``steps``, ``seeds`` and ``values``: mean, standard deviation over seeds (or,
        with one seed, over trials; None if there is neither) and the value of each seed, by metric.
    """
    rows: dict[str, dict[str, Any]] = {}
    for key in found[0].values:
        row, _, metric = key.removeprefix(found[0].name).rpartition('/')
        values = [float(one.values[key]) for one in found if key in one.values]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else found[0].details.get(f'{key}_std')
        rows.setdefault(row, {})[metric] = [float(np.mean(values)), spread, values]
    return [
        dict(row=row.partition('+')[0].strip('/'), steps=row.partition('+')[2], seeds=len(found), values=values)
        for row, values in rows.items()
    ]


def _names(sides: Sequence[RetrievalSet], key: str, name_key: str) -> dict[int, str]:
    """Returns what the user calls each identity or camera, or its number."""
    names: dict[int, str] = {}
    for side in sides:
        own = getattr(side, name_key) or [None] * len(side)
        for number, name in zip(getattr(side, key).tolist(), own, strict=True):
            if name is not None or number not in names:
                names[number] = str(number) if name is None else name
    return names


def _spread(items: Sequence[int], count: int) -> list[int]:
    if len(items) <= count:
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]


def _percent(values: np.ndarray) -> list[list[float | None]]:
    return [[None if math.isnan(value) else round(100 * value, 1) for value in row] for row in values.tolist()]
