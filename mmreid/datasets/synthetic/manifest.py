# Copyright (c) mmreid contributors. All rights reserved.
"""The file that says how a procedural data set was made, and whether it is still complete."""

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

# Knobs that are left out at these values, so that folders from before they existed stay up to date.
_LATER = {'light': (0.0, 0.0), 'folds': 0.0, 'tight_boxes': False}


def make_manifest(world: World, plan: LayoutPlan, files: Iterable[str]) -> dict:
    """Returns all that decides how the files look, and the number of files by top-level folder, ready for JSON."""
    counts = Counter(file.partition('/')[0] for file in files)
    return {
        'generator_version': GENERATOR_VERSION,
        'parameters': describe(world, plan),
        'counts': {name: counts[name] for name in sorted(counts)},
    }


def describe(world: World, plan: LayoutPlan) -> dict[str, object]:
    """Lists all parameters that decide how the files look, as JSON returns them."""
    knobs = {name: value for name, value in asdict(world.domain).items() if name not in ('name', 'clothing')}
    knobs = {name: value for name, value in knobs.items() if name not in _LATER or value != _LATER[name]}
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
    """Returns whether a folder was made with the same generator and parameters and still has all files in full."""
    manifest = read_manifest(root) or {}
    wanted = (GENERATOR_VERSION, describe(world, plan))
    if (manifest.get('generator_version'), manifest.get('parameters')) != wanted:
        return False
    files = manifest.get(FILES)
    if not isinstance(files, dict):
        return False
    there = list_files(root)
    return all(there.get(path) == size for path, size in files.items())
