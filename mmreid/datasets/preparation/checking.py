# Copyright (c) mmreid contributors. All rights reserved.
"""Checks a data set before a training: counts, repetitions, unreadable images."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
from mmengine.logging import MMLogger

from mmreid.datasets.base_reid_dataset import BaseReIDDataset
from mmreid.datasets.readers.decoder_complaints import DecoderComplaints
from mmreid.datasets.readers.published_counts import Counts, count_records, is_procedural
from mmreid.datasets.transforms.loading import MAX_PIXELS, CorruptImageError, max_pixels_of, read_image
from mmreid.registry import DATA_SAMPLERS, DATASETS
from mmreid.utils.one_line_errors import sentence_of
from mmreid.utils.registry_hints import suggest_names

from .leaks import image_paths

CHUNK = 256  # images between two looks at the complaints of decoders


@dataclass
class SplitReport:
    """What one split of a data set holds.

    Attributes:
        identities, images, cameras (int): Counts.
        per_identity (tuple[int, float, int]): Least, median and most images of an identity.
        modalities (dict[str, int]): Images of each modality, empty if there is none.
        on_disk (Counts | None): Counts before anything was held out; None if it is not a split on disk.
        published (Counts | None): Counts of the authors; None if unknown.
    """

    identities: int
    images: int
    cameras: int
    per_identity: tuple[int, float, int]
    modalities: dict[str, int]
    on_disk: Counts | None = None
    published: Counts | None = None


@dataclass
class DatasetReport:
    """What one data set of a config holds.

    Attributes:
        section (str): Where it is in the config: ``'train'``, ``'val'``, ``'test'``, with a number in lists.
        name (str): Type of the data set; once it is built, its name and the variant that was found.
        splits (dict[str, SplitReport]): Its splits.
        problems (list[str]): What is wrong.
        notes (list[str]): What else was logged.
        paths (list[str]): Its images.
        max_pixels (int | None): Most pixels of an image that its pipeline loads.
        dataset (BaseReIDDataset | None): The data set; None if it cannot be read.
    """

    section: str
    name: str
    splits: dict[str, SplitReport] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    max_pixels: int | None = MAX_PIXELS
    dataset: BaseReIDDataset | None = None


def leaf_configs(cfg: dict) -> list[dict]:
    """Returns the configs of the data sets inside wrappers and concatenations."""
    inner = cfg.get('datasets') or ([cfg['dataset']] if 'dataset' in cfg else [])
    return [leaf for part in inner for leaf in leaf_configs(part)] if inner else [cfg]


def check_dataset(cfg: dict, section: str) -> DatasetReport:
    """Reads and counts a data set; whatever fails becomes a problem in the report.

    Args:
        cfg (dict): Config of a data set without others inside; its pipeline is not built.
        section (str): Where it is in the config.
    """
    report = DatasetReport(section, str(cfg.get('type')), max_pixels=max_pixels_of(cfg.get('pipeline') or ()))
    with catch_problems(report.problems, report.notes):
        dataset = DATASETS.build({**cfg, 'pipeline': [], 'lazy_init': True, 'serialize_data': False})
        if not isinstance(dataset, BaseReIDDataset):
            raise TypeError(f'{type(dataset).__name__} is not a data set of mmreid, so its identities are unknown')
        report.name = dataset.name
        records = dataset.parse()
        on_disk = count_records(records)
        compares = dataset.compare_counts and records and not is_procedural(records[0]['img_path'])
        published = dataset.published_counts() if compares else {}
        dataset.parse = lambda: records  # type: ignore[method-assign]  # read once is enough
        dataset.full_init()
        report.name += f' ({dataset.variant})' if dataset.variant else ''
        report.dataset, report.paths = dataset, image_paths(dataset)
        for split in np.unique(dataset.splits).tolist():
            report.splits[split] = _count(dataset, split, on_disk.get(split), published.get(split))
        report.notes[:] = [note for note in report.notes if note != dataset.summary()]  # the table says it
        _check_repetitions(report)
    return report


@contextmanager
def catch_problems(problems: list[str], notes: list[str]) -> Iterator[None]:
    """Collects logged warnings and the error that ends the block in ``problems``, and other logs in ``notes``."""
    logger = MMLogger.get_current_instance()
    before, logger.handlers = logger.handlers, [_Collector(problems, notes)]
    try:
        with suggest_names():
            yield
    except Exception as error:  # noqa: BLE001 - the other data sets are checked in any case
        text = sentence_of(error)
        kind = '' if isinstance(error, (ValueError, OSError, KeyError, TypeError)) and text else type(error).__name__
        problems.append(f'{kind}: {text}' if kind else text)
    finally:
        logger.handlers = before


class _Collector(logging.Handler):
    """Sorts log records into two lists."""

    def __init__(self, problems: list[str], notes: list[str]) -> None:
        super().__init__(logging.INFO)
        self.problems, self.notes = problems, notes

    def emit(self, record: logging.LogRecord) -> None:
        """Takes one record."""
        (self.problems if record.levelno >= logging.WARNING else self.notes).append(record.getMessage())


def _count(dataset: BaseReIDDataset, split: str, on_disk: Counts | None, published: Counts | None) -> SplitReport:
    chosen = dataset.splits == split
    _, counts = np.unique(dataset.pids[chosen], return_counts=True)
    modalities = Counter(modality for modality in dataset.modalities[chosen].tolist() if modality)
    return SplitReport(
        identities=len(counts),
        images=int(chosen.sum()),
        cameras=len(np.unique(dataset.camids[chosen])),
        per_identity=(int(counts.min()), float(np.median(counts)), int(counts.max())),
        modalities=dict(sorted(modalities.items())),
        on_disk=on_disk,
        published=published,
    )


def check_batches(loader: dict, dataset: BaseReIDDataset) -> None:
    """Builds the samplers of a training dataloader, which refuse data that does not fill a batch."""
    if not loader.get('sampler'):
        return
    sampler = DATA_SAMPLERS.build(dict(loader['sampler']), default_args=dict(dataset=dataset, seed=0))
    if loader.get('batch_sampler'):
        sizes = dict(sampler=sampler, batch_size=loader.get('batch_size', 1))
        DATA_SAMPLERS.build(dict(loader['batch_sampler']), default_args=sizes)


def _check_repetitions(report: DatasetReport) -> None:
    found: dict[tuple[int, int], list[str]] = {}
    for path in report.paths:
        with suppress(OSError):  # reading it will report the error
            status = os.stat(path)
            found.setdefault((status.st_dev, status.st_ino), []).append(path)
    again = [paths[0] for paths in found.values() if len(paths) > 1]
    if again:
        report.problems.append(f'{len(again)} images are listed more than once, the first is {again[0]}')


def read_all(
    paths: Sequence[str],
    workers: int,
    progress: Callable[[], None] = lambda: None,
    max_pixels: Sequence[int | None] | None = None,
) -> tuple[np.ndarray, dict[str, str], dict[str, str]]:
    """Decodes images in parallel.

    Args:
        paths (Sequence[str]): The images.
        workers (int): Threads, 1 or more; decoding releases the GIL, so they run in parallel.
        progress (Callable): Called after each image.
        max_pixels (Sequence[int | None], optional): For each image, see :func:`read_image`. Defaults to 64 million.

    Returns:
        tuple[np.ndarray, dict[str, str], dict[str, str]]: Height and width of each image, shape (N, 2), 0 if it cannot
        be read; faults by path of the unreadable images; and complaints by path of the damaged ones.
    """
    if workers < 1:
        raise ValueError(f'workers={workers} must be 1 or more')
    sizes, faults, damaged = np.zeros((len(paths), 2), dtype=np.int64), {}, {}
    limits = [MAX_PIXELS] * len(paths) if max_pixels is None else max_pixels
    pool = ThreadPoolExecutor(workers)
    try:
        for start in range(0, len(paths), CHUNK):
            chunk = paths[start : start + CHUNK]
            with DecoderComplaints() as complaints:
                for index, result in enumerate(pool.map(_size_of, chunk, limits[start : start + CHUNK]), start):
                    if isinstance(result, str):
                        faults[paths[index]] = result
                    else:
                        sizes[index] = result
                    progress()
            if complaints.lines:
                readable = [index for index in range(start, start + len(chunk)) if paths[index] not in faults]
                damaged |= _damage_of({paths[index]: limits[index] for index in readable})
    finally:
        pool.shutdown(cancel_futures=True)
    return sizes, faults, damaged


def _damage_of(limits: dict[str, int | None]) -> dict[str, str]:
    """Decodes images, given with their ``max_pixels``, one by one, to find those that a decoder complains about."""
    damaged = {}
    for path, max_pixels in limits.items():
        with DecoderComplaints() as complaints:
            _size_of(path, max_pixels)
        if complaints.lines:
            damaged[path] = complaints.lines[0]
    return damaged


def _size_of(path: str, max_pixels: int | None) -> tuple[int, int] | str:
    try:
        return read_image(path, max_pixels).shape[:2]
    except CorruptImageError as error:
        return str(error)
