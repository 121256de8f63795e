# Copyright (c) mmreid contributors. All rights reserved.
"""Writes a report: one folder with a page that needs no network."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmreid.datasets.transforms.loading import MAX_PIXELS
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.checkpoint import CheckpointError
from mmreid.version import __version__

from .findings import Findings, examine
from .image_table import ImageTable
from .method_parts import method_parts
from .page import render_page
from .page_data import SetData, table_rows
from .report_folder import PAGE, open_report_folder, remove_others
from .set_plots import histogram_of, plots_of
from .sources import LabeledTest, Source, Unlabeled
from .unlabeled import unlabeled_part

BY_SET = dict[str, dict[str, list[Findings]]]


@dataclass(frozen=True)
class ReportOptions:
    """What a report shows.

    Attributes:
        title (str): Its title. Defaults to ``'Report'``.
        num_queries (int): Queries with ranked lists of each model and test set. Defaults to 200.
        topk (int): Gallery images of each, 50 at most. Defaults to 10.
        link_images (bool): Link to the image files instead of copying them small. Defaults to False.
        max_pixels (int | None): Refuse larger images; None for no limit. Defaults to 64 million.
        work_dirs (tuple[str, ...]): Runs whose architecture, graph, neighbors or styles are shown. Defaults to ().
    """

    title: str = 'Report'
    num_queries: int = 200
    topk: int = 10
    link_images: bool = False
    max_pixels: int | None = MAX_PIXELS
    work_dirs: tuple[str, ...] = ()


def write_report(
    folder: str | os.PathLike, sources: Sequence[Source], options: ReportOptions | None = None
) -> tuple[Path, list[str]]:
    """Writes ``index.html`` and ``index_files/`` into a folder; the page names what could not be read.

    Args:
        folder (str | os.PathLike): The folder; made if need be. An earlier report in it is replaced, other files
            stay.
        sources (Sequence[Source]): Models and seeds. Those of one name are seeds of one model: their values are
            averaged, and the first is shown in depth.
        options (ReportOptions, optional): What to show. Defaults to None: the defaults of :class:`ReportOptions`.

    Returns:
        tuple[Path, list[str]]: The page, and a sentence for everything that is not in it.

    Raises:
        ValueError: If there is nothing to report.
        OSError: If the folder cannot be written to, or has an ``index.html`` that is not a report.
    """
    options, folder = options or ReportOptions(), open_report_folder(folder)
    images = ImageTable(folder, options.link_images, options.max_pixels)
    faults: list[str] = []
    by_set, unlabeled = _examine_all(sources, images, options, faults)
    parts = []
    for number, work_dir in enumerate(options.work_dirs):
        found, wrong = method_parts(Path(work_dir), number, images)
        parts += found
        faults += wrong
        if not found and not wrong:
            faults.append(f'{work_dir} has no architecture, neighbor graph, neighbors or camera styles')
    if not (by_set or unlabeled or parts):
        raise ValueError(f'there is nothing to report: {"; ".join(faults)}')
    content = dict(
        title=options.title,
        made=f'mmreid {__version__}, {time.strftime("%Y-%m-%d %H:%M")}',
        sets=[_set_content(name, models, images, options) for name, models in by_set.items()],
        unlabeled=unlabeled,
        parts=parts,
        faults=faults,
    )
    content['images'], lost = images.write()
    if lost:
        faults.append(
            f'{len(lost)} of {len(images.numbers)} images are missing or cannot be read and have a field with their '
            f'name instead, the first of them {lost[0]}; run this where the features were made'
        )
    page = folder / PAGE
    atomic_write(page, render_page(content))
    remove_others(
        folder, [part.get('file') or '' for part in parts] + [address or '' for address, _ in content['images']]
    )
    return page, faults


def _examine_all(
    sources: Sequence[Source], images: ImageTable, options: ReportOptions, faults: list[str]
) -> tuple[BY_SET, list[dict[str, Any]]]:
    """Examines one source after the other, so that the features of only one are in memory."""
    by_set: BY_SET = {}
    unlabeled = []
    for source in sources:
        print_log(f'report: {source.origin}', 'current')
        try:
            for test in source.read():
                if isinstance(test, Unlabeled):
                    unlabeled.append(unlabeled_part(source, test, images, options.num_queries, options.topk))
                    continue
                of_model = by_set.setdefault(test.metric.name, {}).setdefault(source.model, [])
                found = _examine(test, source, bool(of_model), faults)
                of_model += [found] if found else []
        except (ValueError, OSError, CheckpointError) as error:
            faults.append(f'{source.origin} is left out: {error}')
    for name, models in by_set.items():
        for model in [model for model, found in models.items() if not found]:
            del models[model]
        faults += _unequal(name, models)
    return {name: models for name, models in by_set.items() if models}, unlabeled


def _examine(test: LabeledTest, source: Source, is_further: bool, faults: list[str]) -> Findings | None:
    place = f"'{test.metric.name}' of {source.origin}"
    try:
        found = examine(test, in_depth=not is_further)
    except ValueError as error:
        faults.append(f'{place} is left out: {error}')
        return None
    faults += [f'{place}: {fault}' for fault in found.faults]
    return found


def _unequal(name: str, models: dict[str, list[Findings]]) -> list[str]:
    """Returns a sentence if models were tested on different images, so that their values cannot be compared."""
    counts = {model: [_images_of(one) for one in found] for model, found in models.items()}
    distinct = {count for of_model in counts.values() for count in of_model}
    if len(distinct) < 2:
        return []
    said = '; '.join(
        f'{model}: {" / ".join(f"{q} + {g}" for q, g, _ in of_model)}' for model, of_model in counts.items()
    )
    return [f"'{name}' is not the same for all models, so do not compare their values (queries + gallery of {said})"]


def _images_of(found: Findings) -> tuple[int, int, int]:
    labels = (*found.query.pid.tolist(), *found.gallery.pid.tolist())
    return len(found.query), len(found.gallery), hash(labels)


def _set_content(
    name: str, models: dict[str, list[Findings]], images: ImageTable, options: ReportOptions
) -> dict[str, Any]:
    first = next(iter(models.values()))[0]
    people = len(set(first.query.pid.tolist()) | set(first.gallery.pid.tolist()))
    cameras = len(set(first.query.camid.tolist()) | set(first.gallery.camid.tolist()))
    return dict(
        name=name,
        about=f'{len(first.query):,} queries, {len(first.gallery):,} gallery images, {people:,} people, '
        f'{cameras} cameras',
        rule=first.rule,
        rows=[dict(row, model=model) for model, found in models.items() for row in table_rows(found)],
        plots=plots_of(models),
        models=[
            dict(
                SetData(found[0], images, options.num_queries, options.topk).content(),
                name=model,
                histogram=histogram_of(found[0]),
            )
            for model, found in models.items()
        ],
    )
