# Copyright (c) mmreid contributors. All rights reserved.
"""The file that tells what a procedural data set was made with, and whether it is still whole."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from ..published_counts import WORLD_MANIFEST as MANIFEST
from .layout import LayoutPlan
from .world import GENERATOR_VERSION, World


def make_manifest(world: World, plan: LayoutPlan, files: Iterable[str]) -> dict:
    """Write down everything that decides how the files look, and how many there are.

    Args:
        world (World): The world.
        plan (LayoutPlan): Layout and sizes.
        files (Iterable[str]): All files, relative to the root folder, with forward slashes.

    Returns:
        dict: ``generator_version``, ``parameters`` and ``counts`` by top-level folder, ready for JSON.
    """
    counts = Counter(file.partition('/')[0] for file in files)
    return {
        'generator_version': GENERATOR_VERSION,
        'parameters': describe(world, plan),
        'counts': {name: counts[name] for name in sorted(counts)},
    }


def describe(world: World, plan: LayoutPlan) -> dict[str, object]:
    """List everything that decides how the files look.

    Args:
        world (World): The world.
        plan (LayoutPlan): Layout and sizes.

    Returns:
        dict: Parameters, as JSON gives them back.
    """
    knobs = {name: value for name, value in asdict(world.domain).items() if name not in ('name', 'clothing')}
    parameters = {
        'layout': plan.LAYOUT,
        'seed': world.seed,
        'domain': world.domain.name,
        'cameras': len(world.cameras),
        'infrared': world.infrared,
        'size': world.size,
        'supersample': world.supersample,
        'knobs': knobs,
        **plan.parameters(),
    }
    return json.loads(json.dumps(parameters))


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


def is_up_to_date(root: str | Path, world: World, plan: LayoutPlan) -> bool:
    """Say whether a folder already holds what would be written.

    Args:
        root (str | Path): Root folder of a data set.
        world (World): The world.
        plan (LayoutPlan): Layout and sizes.

    Returns:
        bool: True if the manifest has the same generator version and parameters, and all files are there.
    """
    manifest = read_manifest(root) or {}
    wanted = (GENERATOR_VERSION, describe(world, plan))
    if (manifest.get('generator_version'), manifest.get('parameters')) != wanted:
        return False
    return all(_count_files(Path(root) / name) == count for name, count in manifest.get('counts', {}).items())


def _count_files(path: Path) -> int:
    return sum(child.is_file() for child in path.rglob('*')) if path.is_dir() else int(path.is_file())
