# Copyright (c) mmreid contributors. All rights reserved.
"""The file that tells what a procedural data set was made with, and whether it is still whole."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from mmreid.utils.atomic_folder import FILES, list_files

from ..readers.published_counts import read_manifest
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


def is_up_to_date(root: str | Path, world: World, plan: LayoutPlan) -> bool:
    """Say whether a folder already holds what would be written.

    Args:
        root (str | Path): Root folder of a data set.
        world (World): The world.
        plan (LayoutPlan): Layout and sizes.

    Returns:
        bool: True if the manifest has the same generator version and parameters, and all files are there, as
            large as they were written.
    """
    manifest = read_manifest(root) or {}
    wanted = (GENERATOR_VERSION, describe(world, plan))
    if (manifest.get('generator_version'), manifest.get('parameters')) != wanted:
        return False
    files = manifest.get(FILES)
    if not isinstance(files, dict):
        return False
    there = list_files(root)
    return all(there.get(path) == size for path, size in files.items())
