# Copyright (c) mmreid contributors. All rights reserved.
"""Lists the first gallery images of chosen queries, and writes them as images and as a table."""

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmreid.evaluation.functional import RankingResult, rank
from mmreid.evaluation.metrics import FeatureMetric
from mmreid.evaluation.postprocessing import as_steps, post_process
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.utils.csv_text import write_csv

from .rank_list import RankedImage, draw_rank_list, stack_rows

COLUMNS = ('image', 'rank', 'img_path', 'pid', 'camid', 'score', 'ap', 'match')


@dataclass(frozen=True)
class RankedEntry:
    """An image of a ranked list.

    Attributes:
        img_path (str): Its file.
        pid (int | str): Its identity, by the user's name if known.
        camid (int | str): Its camera, likewise.
        score (float | None): Its score; None for the query.
        ap (float | None): Average precision of the query in percent, NaN if undefined; None for gallery images.
        match (bool | None): Whether it shows the query's identity; None for the query.
    """

    img_path: str
    pid: int | str
    camid: int | str
    score: float | None = None
    ap: float | None = None
    match: bool | None = None

    def tile(self) -> RankedImage:
        """Returns what is drawn of it; the user's names of identity and camera get a line each."""
        who = (str(self.pid), str(self.camid)) if isinstance(self.pid, str) else (f'{self.pid} c{self.camid}',)
        if self.match is None:
            precision = '-' if self.ap != self.ap else f'{self.ap:.1f}'
            return RankedImage(self.img_path, (f'query {who[0]}', *who[1:], f'AP {precision}'))
        return RankedImage(self.img_path, (*who, f'{self.score:.3f}'), self.match)


@torch.no_grad()
def rank_test_set(
    metric: FeatureMetric,
    query: RetrievalSet,
    gallery: RetrievalSet,
    steps: Sequence[Any] = (),
    row: str | None = None,
    topk: int = 10,
) -> tuple[RankingResult, RetrievalSet, RetrievalSet]:
    """Ranks one row of a metric.

    Args:
        metric (FeatureMetric): The metric, with its ``matcher`` set.
        query (RetrievalSet): The queries of the test set, with features.
        gallery (RetrievalSet): Its gallery, likewise.
        steps (Sequence[PostProcess]): Steps between features and ranking. Defaults to ().
        row (str, optional): Row of the metric, such as ``'indoor-multi'``; its first trial is ranked. Defaults to None:
            the first row.
        topk (int): Gallery images to keep for each query. Defaults to 10.

    Returns:
        tuple[RankingResult, RetrievalSet, RetrievalSet]: The result, and the queries and the gallery that its indices
        refer to.

    Raises:
        ValueError: If the metric has no such row.
    """
    steps = as_steps(steps)
    rows = {name: (task, trials[0]) for task in metric.tasks(query, gallery)
            for name, trials in task.galleries.items()}  # fmt: skip
    if row is not None and row not in rows:
        raise ValueError(f"{type(metric).__name__} of '{metric.name}' has no row '{row}'; it has {', '.join(rows)}")
    task, images = rows[next(iter(rows)) if row is None else row]
    part = task.drawn(images)
    scores = post_process(steps, task.query, part, metric.matcher)
    labels = task.query.pid, task.query.camid, part.pid, part.camid
    return rank(scores, *labels, protocol=metric.protocol(task), keep_top=topk), task.query, part


def choose_queries(ranking: RankingResult, select: str, count: int, interval: int = 1, seed: int = 0) -> list[int]:
    """Chooses queries to draw.

    Args:
        ranking (RankingResult): The ranked test set.
        select (str): ``'worst'`` or ``'best'`` by average precision, ``'random'``, or ``'every'`` by ``interval``.
        count (int): How many at most.
        interval (int): Take every n-th with ``select='every'``. Defaults to 1.
        seed (int): Seed of ``select='random'``. Defaults to 0.

    Returns:
        list[int]: Indices of queries that could be scored.
    """
    valid = ranking.valid.nonzero().flatten()
    if select == 'every':
        valid = valid[::interval]
    elif select == 'random':
        valid = valid[torch.randperm(len(valid), generator=torch.Generator().manual_seed(seed))]
    else:
        valid = valid[ranking.ap[valid].argsort(descending=select == 'best', stable=True)]
    return valid[:count].tolist()


def find_queries(query: RetrievalSet, names: Iterable[str]) -> list[int]:
    """Finds queries by file names or ends of paths.

    Args:
        query (RetrievalSet): The queries.
        names (Iterable[str]): The names.

    Returns:
        list[int]: Indices of all queries that a name fits, in the order of the names.

    Raises:
        ValueError: If a name fits no query.
    """
    paths = [Path(path).as_posix() for path in query.img_path]
    found = []
    for name in names:
        fitting = [i for i, path in enumerate(paths) if path == name or path.endswith(f'/{name}')]
        if not fitting:
            near = difflib.get_close_matches(name, [path.rpartition('/')[2] for path in paths], 2, 0.5)
            hint = f'; did you mean {" or ".join(near)}?' if near else f', such as {paths[0]}'
            raise ValueError(f"no query image is called '{name}'{hint}")
        found += fitting
    return list(dict.fromkeys(found))


def list_entries(
    ranking: RankingResult, query: RetrievalSet, gallery: RetrievalSet, index: int, topk: int
) -> list[RankedEntry]:
    """Lists a query and its first gallery images.

    Args:
        ranking (RankingResult): Made with ``keep_top`` of at least ``topk``.
        query (RetrievalSet): The queries.
        gallery (RetrievalSet): The gallery.
        index (int): Index of the query.
        topk (int): Gallery images to list.

    Returns:
        list[RankedEntry]: The query, then at most ``topk`` gallery images, best first.
    """
    top, scores = ranking.top[index, :topk], ranking.top_scores[index, :topk]
    there = top >= 0
    entries = [RankedEntry(*_labels(query, index), ap=float(ranking.ap[index]) * 100)]
    for image, score in zip(top[there].tolist(), scores[there].tolist(), strict=True):
        match = bool(gallery.pid[image] == query.pid[index])
        entries.append(RankedEntry(*_labels(gallery, image), score=score, match=match))
    return entries


def _labels(images: RetrievalSet, index: int) -> tuple[str, int | str, int | str]:
    """Returns file, identity and camera of an image, by the user's names where these are known."""
    pid_name, camid_name = (names[index] if names else None for names in (images.pid_name, images.camid_name))
    pid = int(images.pid[index]) if pid_name is None else pid_name
    camid = int(images.camid[index]) if camid_name is None else camid_name
    return images.img_path[index], pid, camid


def image_name(index: int, query: RankedEntry, suffix: str) -> str:
    """Returns the file name for the list of a query; special characters become '_', long names are shortened."""
    pid, camid = (re.sub(r'[^\w.-]', '_', str(name))[:40] for name in (query.pid, query.camid))
    return f'query{index:05d}_pid{pid}_c{camid}{suffix}'


def missing_files(lists: Iterable[Sequence[RankedEntry]]) -> list[str]:
    """Returns the image files in ranked lists that do not exist, each once."""
    paths = dict.fromkeys(entry.img_path for entries in lists for entry in entries)
    return [path for path in paths if not os.path.isfile(path)]


def write_table(path: str | os.PathLike, lists: dict[str, Sequence[RankedEntry]]) -> None:
    """Writes ranked lists as CSV; rank 0 is the query, which has an average precision instead of a score.

    Args:
        path (str | os.PathLike): The file.
        lists (dict[str, Sequence[RankedEntry]]): The lists by image name.
    """
    rows = [
        (name, number, entry.img_path, entry.pid, entry.camid, entry.score, entry.ap, entry.match)
        for name, entries in lists.items()
        for number, entry in enumerate(entries)
    ]
    write_csv(path, COLUMNS, rows)


def draw_sheet(lists: Iterable[Sequence[RankedEntry]], **drawing: Any) -> np.ndarray:
    """Draws ranked lists below each other, (H, W, 3), BGR, uint8; takes arguments of :func:`draw_rank_list`."""
    return stack_rows([draw_rank_list([entry.tile() for entry in entries], **drawing) for entries in lists])
