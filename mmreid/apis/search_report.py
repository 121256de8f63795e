# Copyright (c) mmreid contributors. All rights reserved.
"""Writes what a search or a clustering found: tables, JSON and images."""

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmreid.datasets.transforms.loading import MAX_PIXELS
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.csv_text import write_csv
from mmreid.utils.progress import track
from mmreid.visualization.contact_sheet import draw_contact_sheet
from mmreid.visualization.rank_list import RankedImage, draw_rank_list, write_image

from .cluster import ALONE
from .inputs import named_images
from .search import SearchResult
from .threshold import Threshold

SHEET = 400  # images of a contact sheet


def left_out(inputs: Any, read: Sequence[str], max_pixels: int | None = MAX_PIXELS) -> list[str]:
    """Lists the images of a path, folder or glob that are not among those that were read, and logs how many."""
    known = set(read)
    names = [image.name for image in named_images(inputs, None, max_pixels)]
    lost = [name for name in names if name not in known]
    if lost:
        print_log(f'{len(lost)} of {len(names)} images were left out: {lost[0]}', 'current', logging.WARNING)
    return lost


def found_images(result: SearchResult, threshold: Threshold | None = None) -> list[dict[str, Any]]:
    """Lists what each query found as plain data.

    Args:
        result (SearchResult): The result.
        threshold (Threshold, optional): Adds ``same`` to each image. Defaults to None.

    Returns:
        list[dict[str, Any]]: ``query`` and ``found`` of each query; ``file``, ``score`` and, with a threshold, ``same``
        of each image, best first.
    """
    listed = []
    for name, files, scores in zip(result.query_names, result.names, result.scores.tolist(), strict=True):
        found = [dict(file=file, score=score) for file, score in zip(files, scores[: len(files)], strict=True)]
        for image in found if threshold is not None else ():
            image['same'] = threshold.decide(image['score']).same
        listed.append(dict(query=name, found=found))
    return listed


def write_search(
    folder: Path, listed: Sequence[dict[str, Any]], facts: dict[str, Any], num_images: int, max_pixels: int | None
) -> None:
    """Writes ``ranked.csv``, ``ranked.json`` and ``lists/*.png`` of the first queries.

    Args:
        folder (Path): Where to write; must exist.
        listed (Sequence[dict[str, Any]]): What :func:`found_images` gave; images may have further entries.
        facts (dict[str, Any]): Further entries of the JSON file.
        num_images (int): Queries to draw.
        max_pixels (int, optional): Most pixels of an image; None for no limit.
    """
    first = next((image for entry in listed for image in entry['found']), dict(file='', score=0.0))
    rows = (
        (entry['query'], rank, *image.values())
        for entry in listed
        for rank, image in enumerate(entry['found'], start=1)
    )
    write_csv(folder / 'ranked.csv', ['query', 'rank', *first], rows)
    atomic_write(folder / 'ranked.json', json.dumps(dict(facts, queries=listed), indent=1, allow_nan=False) + '\n')
    if num_images:
        (folder / 'lists').mkdir()
    for number, entry in enumerate(track(listed[:num_images], 'drawing')):
        image = draw_rank_list(_tiles(entry), gray_missing=True, max_pixels=max_pixels)
        write_image(folder / 'lists' / f'query{number:05d}.png', image)


def _tiles(entry: dict[str, Any]) -> list[RankedImage]:
    tiles = [RankedImage(entry['query'], ('query', Path(entry['query']).name))]
    for image in entry['found']:
        decision = ('same' if image['same'] else 'different',) if 'same' in image else ()
        who = (image['id'],) if image.get('id') else ()
        lines = (Path(image['file']).name, f'{image["score"]:.3f}', *who, *decision)
        tiles.append(RankedImage(image['file'], lines, labeled=False))
    return tiles


def write_clusters(
    folder: Path, names: Sequence[str], labels: np.ndarray, facts: dict[str, Any], max_pixels: int | None
) -> None:
    """Writes ``clusters.csv``, ``clusters.json`` and a contact sheet ``sheets/cluster*.png`` of each cluster.

    Args:
        folder (Path): Where to write; must exist.
        names (Sequence[str]): The image files.
        labels (np.ndarray): The cluster of each, shape (N,); -1 for those that are like no others.
        facts (dict[str, Any]): Further entries of the JSON file.
        max_pixels (int, optional): Most pixels of an image; None for no limit.
    """
    order = np.argsort(np.where(labels == ALONE, math.inf, labels), kind='stable').tolist()
    write_csv(folder / 'clusters.csv', ['file', 'cluster'], [(names[i], int(labels[i])) for i in order])
    members: dict[int, list[str]] = {}
    for i in order:
        members.setdefault(int(labels[i]), []).append(names[i])
    alone = members.pop(ALONE, [])
    content = dict(facts, clusters=list(members.values()), alone=alone)
    atomic_write(folder / 'clusters.json', json.dumps(content, indent=1, allow_nan=False) + '\n')
    (folder / 'sheets').mkdir()
    sheets = {f'cluster{label:05d}': files for label, files in members.items()} | ({'alone': alone} if alone else {})
    for name, files in track(list(sheets.items()), 'drawing'):
        write_image(folder / 'sheets' / f'{name}.png', draw_contact_sheet(files[:SHEET], max_pixels))
