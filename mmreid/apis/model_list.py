# Copyright (c) mmreid contributors. All rights reserved.
"""Models that can be given by name: those of the metafiles, which a wheel ships under ``mmreid/.mim``."""

import difflib
import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # noqa: TID251  safe_load, of files that are part of the package

from mmreid.utils.config import PREFIX, shipped_root

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class ListedModel:
    """An entry of a metafile.

    Attributes:
        name (str): What it is called.
        config (Path): Its config file.
        weights (str | None): Address or published folder of its weights, if there are any.
        collection (str | None): The method that it belongs to.
        results (tuple[dict[str, Any], ...]): Its numbers, as the metafile has them.
    """

    name: str
    config: Path
    weights: str | None
    collection: str | None = None
    results: tuple[dict[str, Any], ...] = ()


def list_models(pattern: str | None = None, exclude_patterns: Sequence[str] | None = None) -> list[str]:
    """Lists the models that can be given by name.

    Args:
        pattern (str, optional): What the names begin with; ``*`` stands for anything. Defaults to None: all.
        exclude_patterns (Sequence[str], optional): What left-out names begin with, likewise. Defaults to None.

    Returns:
        list[str]: Names, sorted.
    """
    names = fnmatch.filter(_listed(), f'{pattern or ""}*')
    for left_out in exclude_patterns or ():
        names = [name for name in names if not fnmatch.fnmatch(name, f'{left_out}*')]
    return sorted(names)


def find_model(name: str) -> ListedModel:
    """Looks up a name of a metafile, or a config file below ``configs``; with ``mmreid::`` in front or without.

    Raises:
        ValueError: If there is none, with similar names.
    """
    known, bare = _listed(), name.removeprefix(PREFIX)
    if bare in known:
        return known[bare]
    file = (shipped_root() / 'configs' / bare).resolve()
    if bare.endswith('.py') and file.is_file():
        return next((model for model in known.values() if model.config == file), ListedModel(bare, file, None))
    near = difflib.get_close_matches(bare, known, 3, 0.4)
    raise ValueError(
        f'there is no config, folder or checkpoint {name}, and no model of that name'
        + (f'; did you mean {", ".join(near)}?' if near else '')
        + ' (mmreid.apis.list_models() lists the names)'
    )


def listed_as(name: str) -> ListedModel | None:
    """Gives the entry of a metafile; None if there is none of that name."""
    return _listed().get(name)


@cache
def _listed() -> dict[str, ListedModel]:
    models = {}
    for metafile in _read(shipped_root() / 'model-index.yml')['Import']:
        for entry in _read(shipped_root() / metafile)['Models']:
            config = (shipped_root() / entry['Config']).resolve()
            models[entry['Name']] = ListedModel(
                entry['Name'],
                config,
                _place(entry.get('Weights')),
                entry.get('In Collection'),
                tuple(entry.get('Results') or ()),
            )
    return models


def _place(weights: str | None) -> str | None:
    """Finds weights that the package ships, which a metafile names from the folder of the package."""
    return weights if weights is None or '://' in weights else str(PACKAGE.parent / weights)


def _read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding='utf-8'))
