# Copyright (c) mmreid contributors. All rights reserved.
"""Writes a world to disk in any layout."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2

from mmreid.utils.atomic_folder import atomic_folder, check_free, write_marker

from ..readers.published_counts import WORLD_MANIFEST as MANIFEST
from ..readers.published_counts import read_manifest
from .layout import Job, LayoutPlan
from .manifest import is_up_to_date, make_manifest
from .world import World

_worker: tuple[World, Path] | None = None


def write_dataset(
    root: str | Path,
    world: World,
    plan: LayoutPlan,
    workers: int = 1,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict:
    """Writes a world in the layout of a data set.

    The files are written to a hidden folder beside ``root`` that is renamed at the end, so ``root`` is either complete
    or missing. A folder that already holds the same data is left as it is.

    Args:
        root (str | Path): Folder to create.
        world (World): The world.
        plan (LayoutPlan): Layout and sizes.
        workers (int): Processes that draw; the files do not depend on it.
        force (bool): Whether to replace an older procedural data set of any layout, but never other files.
        progress (Callable, optional): Called with (images done, images in all).

    Returns:
        dict: The manifest, which is also stored as ``world.json``.

    Raises:
        FileExistsError: If ``root`` has other content.
        ValueError: If the plan or the world does not fit the layout.

    Examples:
        >>> plan = MarketPlan(train_ids=100, test_ids=60)
        >>> write_dataset('data/procedural-market1501', plan.make_world(seed=0), plan)
    """
    if workers < 1:
        raise ValueError(f'workers is {workers}, but at least one process has to draw; use 1 or more.')
    plan.check_world(world)
    if is_up_to_date(root, world, plan):
        return read_manifest(root) or {}
    check_free(root, MANIFEST, force)
    jobs, texts = list(plan.jobs(world)), plan.texts(world)
    files = [*(path for job in jobs for path in job.paths()), *texts]
    _check_folders(plan, files)
    manifest = make_manifest(world, plan, files)
    with atomic_folder(root, lambda: check_free(root, MANIFEST, force)) as folder:
        for parent in {(folder / file).parent for file in files}:
            parent.mkdir(parents=True, exist_ok=True)
        for done, _ in enumerate(_run(jobs, world, folder, workers), 1):
            if progress is not None:
                progress(done, len(jobs))
        for file, text in texts.items():
            (folder / file).write_text(text, encoding='utf-8', newline='\n')
        manifest = write_marker(folder, MANIFEST, manifest)
    return manifest


def write_job(job: Job, world: World, folder: Path) -> None:
    """Takes one image and stores it below ``folder``, with those in other styles."""
    for path, image, camid in job.images(world):
        file = folder / path
        if file.suffix == '.jpg':
            file.write_bytes(world.encode(image, camid))
        else:
            file.write_bytes(cv2.imencode(file.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())


def _check_folders(plan: LayoutPlan, files: list[str]) -> None:
    """Refuses to write a camera without images, which readers take for a damaged archive."""
    sizes = plan.parameters()
    for name in plan.FOLDERS:
        if not any(file.startswith(f'{name}/') for file in files):
            raise ValueError(
                f'{name} would be empty, as its camera sees nobody; raise {plan.FILLED_BY} '
                f'(now {sizes[plan.FILLED_BY]}) or camera_fraction (now {sizes["camera_fraction"]}).'
            )


def _run(jobs: list[Job], world: World, folder: Path, workers: int) -> Iterator[None]:
    """Does all jobs, here or in other processes."""
    if workers == 1:
        yield from (write_job(job, world, folder) for job in jobs)
        return
    # A forked process that inherits OpenCV's thread pool hangs, so the pool is stopped before.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        with ProcessPoolExecutor(workers, initializer=_start_worker, initargs=(world, folder)) as pool:
            yield from pool.map(_work, jobs, chunksize=16)
    finally:
        cv2.setNumThreads(threads)


def _start_worker(world: World, folder: Path) -> None:
    """Prepares a process, which draws on a single thread."""
    global _worker
    cv2.setNumThreads(0)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    _worker = (world, folder)


def _end_with_parent(parent: int) -> None:
    """Ends this process when its parent was killed; the queue of the pool alone would keep it waiting forever."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _work(job: Job) -> None:
    assert _worker is not None  # noqa: S101  for type checkers
    write_job(job, *_worker)
