# Copyright (c) mmreid contributors. All rights reserved.
"""Writes a world to disk in the layout of Market-1501."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import cv2

from .market_layout import CAMSTYLE, GALLERY, QUERY, TRAIN, Job, MarketPlan, plan_jobs
from .world import GENERATOR_VERSION, World

MANIFEST = 'world.json'
STALE_SECONDS = 3600
_worker: tuple[World, Path] | None = None


def describe(world: World, plan: MarketPlan) -> dict[str, object]:
    """List everything that decides how the files look.

    Args:
        world (World): The world.
        plan (MarketPlan): Sizes.

    Returns:
        dict: Parameters, ready for JSON.
    """
    return {
        'layout': 'market1501',
        'seed': world.seed,
        'domain': world.domain.name,
        'cameras': len(world.cameras),
        'size': list(world.size),
        'supersample': world.supersample,
        'knobs': _knobs(world),
        **plan.parameters(),
    }


def _knobs(world: World) -> dict[str, object]:
    """List all knobs of the domain with the values in use, as JSON gives them back."""
    knobs = {field.name: getattr(world.domain, field.name) for field in fields(world.domain)}
    return {name: json.loads(json.dumps(value)) for name, value in knobs.items() if name not in ('name', 'clothing')}


def read_manifest(root: str | Path) -> dict | None:
    """Read what a folder was made with.

    Args:
        root (str | Path): Root folder of a data set.

    Returns:
        dict | None: The manifest; None if the folder has none that can be read.
    """
    try:
        manifest = json.loads((Path(root) / MANIFEST).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def is_up_to_date(root: str | Path, world: World, plan: MarketPlan) -> bool:
    """Say whether a folder already holds what would be written.

    Args:
        root (str | Path): Root folder of a data set.
        world (World): The world.
        plan (MarketPlan): Sizes.

    Returns:
        bool: True if the manifest has the same generator version and parameters, and all files are there.
    """
    manifest = read_manifest(root) or {}
    wanted = (GENERATOR_VERSION, describe(world, plan))
    if (manifest.get('generator_version'), manifest.get('parameters')) != wanted:
        return False
    return all(_count_files(Path(root) / name) == count for name, count in manifest.get('counts', {}).items())


def _count_files(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0


def write_market1501(
    root: str | Path,
    world: World,
    plan: MarketPlan,
    workers: int = 1,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict:
    """Write a world in the layout of Market-1501.

    The files are written to a hidden folder beside ``root``, which is renamed at the end: ``root`` is complete or not
    there. A folder that already holds the same data is left as it is.

    Args:
        root (str | Path): Folder to create.
        world (World): The world.
        plan (MarketPlan): Sizes.
        workers (int): Processes that draw; the files do not depend on it.
        force (bool): Replace an older procedural data set (never any other folder).
        progress (Callable, optional): Called with (pictures done, pictures in all).

    Returns:
        dict: The manifest that is also stored as ``world.json``.

    Raises:
        FileExistsError: If ``root`` has other content.
        ValueError: If the plan does not fit into the layout.
    """
    if workers < 1:
        raise ValueError(f'workers is {workers}, but somebody has to draw; use 1 or more.')
    root = Path(root).absolute()
    if is_up_to_date(root, world, plan):
        return read_manifest(root) or {}
    _check_free(root, force)
    jobs = list(plan_jobs(world, plan))
    with _atomic_folder(root) as folder:
        for name in (TRAIN, GALLERY, QUERY, *((CAMSTYLE,) if plan.camstyle else ())):
            (folder / name).mkdir()
        counts: Counter[str] = Counter()
        for done, written in enumerate(_run(jobs, world, folder, workers), 1):
            counts.update(written)
            if progress is not None:
                progress(done, len(jobs))
        manifest = {
            'generator_version': GENERATOR_VERSION,
            'parameters': describe(world, plan),
            'counts': {path.name: counts[path.name] for path in sorted(folder.iterdir())},
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + '\n', encoding='utf-8')
    return manifest


def write_job(job: Job, world: World, folder: Path) -> dict[str, int]:
    """Take one picture and store it, with its camera-style pictures.

    Args:
        job (Job): The picture.
        world (World): The world.
        folder (Path): Root folder to write to.

    Returns:
        dict[str, int]: Number of files written per folder.
    """
    camid = job.camid
    target = folder / job.folder / f'{job.stem}.jpg'
    if job.kind == 'distractor':
        target.write_bytes(world.encode(world.render_distractor(camid, job.index), camid))
    elif job.kind == 'junk':
        target.write_bytes(world.encode(world.render_junk(job.pid, camid, job.index), camid))
    else:
        scene, key = world.scene(job.pid, camid, job.index), ('image', job.pid, camid, job.index)
        target.write_bytes(world.encode(world.develop(scene, key, camid), camid))
        for style in job.styles:
            fake = folder / CAMSTYLE / f'{job.stem}_fake_{camid + 1}to{style + 1}.jpg'
            fake.write_bytes(world.encode(world.develop(scene, key, camid, style), style))
    return {job.folder: 1, CAMSTYLE: len(job.styles)} if job.styles else {job.folder: 1}


def _check_free(root: Path, force: bool) -> None:
    """Refuse to touch a folder with content, unless it is ours and may be replaced."""
    if not root.exists() and not root.is_symlink():
        return
    if not root.is_dir() or root.is_symlink():
        raise FileExistsError(f'{root} is not an ordinary folder; give the name of a new one.')
    if not any(root.iterdir()):
        return
    if read_manifest(root) is None:
        raise FileExistsError(f'{root} has content that is no procedural data set, so it is kept; give a new folder.')
    if not force:
        raise FileExistsError(
            f'{root} holds a procedural data set with other parameters, or a damaged one; use --force to replace it.'
        )


@contextmanager
def _atomic_folder(root: Path) -> Iterator[Path]:
    """Offer a hidden sibling of a folder; rename it at the end, remove it upon failure."""
    root.parent.mkdir(parents=True, exist_ok=True)
    for left in root.parent.glob(f'.{root.name}.partial-*'):  # of runs that were killed
        if time.time() - left.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    partial = root.parent / f'.{root.name}.partial-{os.getpid()}'
    old = root.parent / f'.{root.name}.old-{os.getpid()}'
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if root.exists():
            root.rename(old)
        try:
            partial.rename(root)
        except OSError:
            if old.exists():
                old.rename(root)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _run(jobs: list[Job], world: World, folder: Path, workers: int) -> Iterator[dict[str, int]]:
    """Do all jobs, here or in other processes."""
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
    """Prepare one process: it draws on a single thread."""
    global _worker
    cv2.setNumThreads(0)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    _worker = (world, folder)


def _end_with_parent(parent: int) -> None:
    """Ends this process when its parent was killed; the pool's queue alone would keep it waiting for ever."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _work(job: Job) -> dict[str, int]:
    assert _worker is not None
    return write_job(job, *_worker)
