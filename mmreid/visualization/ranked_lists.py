# Copyright (c) mmreid contributors. All rights reserved.
"""Chooses queries of a ranked test set, lists what ranks first for them, and writes it as pictures and as a table."""

import csv
import difflib
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from mmreid.evaluation.functional import RankingResult, rank
from mmreid.evaluation.metrics import FeatureMetric
from mmreid.evaluation.metrics.sides import Side, choose
from mmreid.evaluation.post import check_order, post_process
from mmreid.utils.atomic_io import atomic_write

from .rank_list import RankedImage, draw_rank_list

COLUMNS = ('picture', 'rank', 'img_path', 'pid', 'camid', 'score', 'match')


@dataclass(frozen=True)
class RankedEntry:
    """An image of a ranked list.

    Attributes:
        img_path (str): Its file.
        pid (int): Its identity.
        camid (int): Its camera.
        score (float): Its score; of the query its average precision in percent, NaN where that is not defined.
        match (bool | None): Whether it shows the query's identity; None for the query.
    """

    img_path: str
    pid: int
    camid: int
    score: float
    match: bool | None = None

    def tile(self) -> RankedImage:
        """Makes what is drawn of it."""
        if self.match is None:
            precision = '-' if self.score != self.score else f'{self.score:.1f}'
            return RankedImage(self.img_path, (f'query {self.pid} c{self.camid}', f'AP {precision}'))
        return RankedImage(self.img_path, (f'{self.pid} c{self.camid}', f'{self.score:.3f}'), self.match)


@torch.no_grad()
def rank_test_set(
    metric: FeatureMetric, query: Side, gallery: Side, steps: Sequence[Any] = (), row: str | None = None, topk: int = 10
) -> tuple[RankingResult, Side, Side]:
    """Ranks one row of a metric, with the images that it leaves out left out.

    Args:
        metric (FeatureMetric): The rules, with ``metric.matcher`` set.
        query (Side): The queries of the test set, with features.
        gallery (Side): Its gallery, likewise.
        steps (Sequence[PostProcess]): Steps between features and ranking. Defaults to ().
        row (str, optional): Which row of the metric, such as ``'indoor-multi'``; of several trials the first is ranked.
            Defaults to None: the first row.
        topk (int): Gallery images to keep for each query. Defaults to 10.

    Returns:
        tuple[RankingResult, Side, Side]: The result, and the queries and the gallery that its indices mean.

    Raises:
        ValueError: If the metric has no such row.
    """
    check_order(steps)
    rows = {name: (search, trials[0]) for search in metric.searches(query, gallery)
            for name, trials in search.galleries.items()}  # fmt: skip
    if row is not None and row not in rows:
        raise ValueError(f"{type(metric).__name__} of '{metric.name}' has no row '{row}'; it has {', '.join(rows)}")
    search, images = rows[next(iter(rows)) if row is None else row]
    part = search.gallery if images is None else choose(search.gallery, images)
    scores = post_process(steps, search.query, part, metric.matcher)
    labels = search.query['pid'], search.query['camid'], part['pid'], part['camid']
    return rank(scores, *labels, protocol=metric.protocol(search), keep_top=topk), search.query, part


def choose_queries(ranking: RankingResult, select: str, count: int, interval: int = 1, seed: int = 0) -> list[int]:
    """Chooses queries to look at.

    Args:
        ranking (RankingResult): The ranked test set.
        select (str): ``'worst'`` or ``'best'`` by average precision, ``'random'``, or ``'every'`` by ``interval``.
        count (int): How many at most.
        interval (int): Take every n-th with ``select='every'``. Defaults to 1.
        seed (int): Decides which are taken with ``select='random'``. Defaults to 0.

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


def find_queries(query: Side, names: Iterable[str]) -> list[int]:
    """Finds queries by their files.

    Args:
        query (Side): The queries.
        names (Iterable[str]): File names, or ends of paths.

    Returns:
        list[int]: Indices, in the order of the names; all that a name fits.

    Raises:
        ValueError: If a name fits none.
    """
    paths = [Path(path).as_posix() for path in query['img_path']]
    found = []
    for name in names:
        fitting = [i for i, path in enumerate(paths) if path == name or path.endswith(f'/{name}')]
        if not fitting:
            near = difflib.get_close_matches(name, [path.rpartition('/')[2] for path in paths], 2, 0.5)
            hint = f'; did you mean {" or ".join(near)}?' if near else f', such as {paths[0]}'
            raise ValueError(f"no query image is called '{name}'{hint}")
        found += fitting
    return list(dict.fromkeys(found))


def list_entries(ranking: RankingResult, query: Side, gallery: Side, index: int, topk: int) -> list[RankedEntry]:
    """Lists a query and then its first gallery images.

    Args:
        ranking (RankingResult): Made with ``keep_top`` of at least ``topk``.
        query (Side): The queries.
        gallery (Side): The gallery.
        index (int): Which query.
        topk (int): Gallery images to list.

    Returns:
        list[RankedEntry]: The query, and at most ``topk`` others, best first.
    """
    top, scores = ranking.top[index, :topk], ranking.top_scores[index, :topk]
    there = top >= 0
    pid = int(query['pid'][index])
    entries = [RankedEntry(query['img_path'][index], pid, int(query['camid'][index]), float(ranking.ap[index]) * 100)]
    for image, score in zip(top[there].tolist(), scores[there].tolist(), strict=True):
        other = int(gallery['pid'][image])
        entries.append(
            RankedEntry(gallery['img_path'][image], other, int(gallery['camid'][image]), score, other == pid)
        )
    return entries


def picture_name(index: int, query: RankedEntry, suffix: str) -> str:
    """Names the picture of a query.

    Args:
        index (int): Which query.
        query (RankedEntry): The first of its entries.
        suffix (str): ``'.png'`` or ``'.jpg'``.

    Returns:
        str: The file name.
    """
    return f'query{index:05d}_pid{query.pid}_c{query.camid}{suffix}'


def missing_files(lists: Iterable[Sequence[RankedEntry]]) -> list[str]:
    """Finds images that are not on the disk.

    Args:
        lists (Iterable[Sequence[RankedEntry]]): Ranked lists.

    Returns:
        list[str]: Each missing file once.
    """
    paths = dict.fromkeys(entry.img_path for entries in lists for entry in entries)
    return [path for path in paths if not os.path.isfile(path)]


def write_picture(path: str | os.PathLike, picture: np.ndarray) -> None:
    """Writes a picture, also to paths that OpenCV cannot write to.

    Args:
        path (str | os.PathLike): A .png or .jpg file.
        picture (np.ndarray): Shape (H, W, 3), BGR, uint8.
    """
    atomic_write(path, cv2.imencode(Path(path).suffix, picture)[1].tobytes())


def write_table(path: str | os.PathLike, lists: dict[str, Sequence[RankedEntry]]) -> None:
    """Writes ranked lists as CSV; rank 0 is the query, whose score is its average precision.

    Args:
        path (str | os.PathLike): The file.
        lists (dict[str, Sequence[RankedEntry]]): By the name of the picture.
    """
    text = io.StringIO(newline='')
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for name, entries in lists.items():
        for number, entry in enumerate(entries):
            writer.writerow((name, number, entry.img_path, entry.pid, entry.camid, entry.score, entry.match))
    atomic_write(path, text.getvalue())


def draw_sheet(lists: Iterable[Sequence[RankedEntry]], **drawing: Any) -> np.ndarray:
    """Draws several ranked lists below each other.

    Args:
        lists (Iterable[Sequence[RankedEntry]]): Ranked lists.
        **drawing (Any): Arguments of :func:`draw_rank_list`.

    Returns:
        np.ndarray: Shape (H, W, 3), BGR, uint8.
    """
    rows = [draw_rank_list([entry.tile() for entry in entries], **drawing) for entries in lists]
    width = max(row.shape[1] for row in rows)
    return np.concatenate(
        [cv2.copyMakeBorder(row, 0, 0, 0, width - row.shape[1], cv2.BORDER_CONSTANT, value=(255,) * 3) for row in rows]
    )
