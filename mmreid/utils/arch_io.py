# Copyright (c) mmreid contributors. All rights reserved.
"""Files that tell which norms of a network are shared and which are split: ``arch.json``, official line, config."""

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .atomic_io import atomic_write
from .json_text import parse_json

FORMAT = 1
STATES = ('share', 'split')
SPLIT, SHARE = 0, 1  # in the line of the official code
_RESNET_NORM = re.compile(r'layer(?P<stage>\d+)\.(?P<block>\d+)\.(?:bn(?P<number>\d+)|downsample\.\d+)')


@dataclass
class Architecture:
    """A searched or chosen architecture.

    Attributes:
        norms (dict[str, str]): ``'share'`` or ``'split'`` for each norm, by its name in the backbone.
        backbone (dict): Config of the backbone it belongs to.
        split_probability (dict[str, float]): Final probability of ``'split'`` by name; empty for an architecture that
            was not searched.
    """

    norms: dict[str, str]
    backbone: dict = field(default_factory=dict)
    split_probability: dict[str, float] = field(default_factory=dict)

    @property
    def entropy(self) -> dict[str, float]:
        """dict[str, float]: Entropy of each choice in bits: 1 is undecided, 0 decided."""
        return {name: _entropy(probability) for name, probability in self.split_probability.items()}


def save_arch(path: str | os.PathLike, arch: Architecture) -> None:
    """Writes an ``arch.json``.

    Args:
        path (str | os.PathLike): The file; it is complete or absent.
        arch (Architecture): The architecture.

    Raises:
        ValueError: If :func:`load_arch` would reject it.
    """
    content = dict(
        format=FORMAT,
        backbone=arch.backbone,
        norms=arch.norms,
        split_probability=arch.split_probability,
        entropy=arch.entropy,
    )
    _checked(content, os.fspath(path))
    atomic_write(path, json.dumps(content, indent=2) + '\n')


def load_arch(path: str | os.PathLike) -> Architecture:
    """Reads an ``arch.json``.

    Args:
        path (str | os.PathLike): The file.

    Returns:
        Architecture: Its content.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If :func:`save_arch` would not write this.
    """
    path = os.fspath(path)
    try:
        content = parse_json(_read(path))
    except ValueError as error:
        raise ValueError(f'{path} is not an arch.json: it is not JSON ({error}); write it again') from error
    return _checked(content, path)


def read_arch(path: str | os.PathLike, names: Iterable[str]) -> dict[str, str]:
    """Reads an architecture for a backbone, from an ``arch.json`` or an official line.

    Args:
        path (str | os.PathLike): The file; one that starts with a digit is an official line.
        names (Iterable[str]): Names of the backbone's norms.

    Returns:
        dict[str, str]: ``'share'`` or ``'split'`` by name. :func:`mmreid.models.layers.resolve_arch` checks whether an
        ``arch.json`` fits the names.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is neither, or a line does not fit the names.
    """
    if _read(os.fspath(path)).lstrip()[:1].isdigit():
        return read_switch_line(path, names)
    return load_arch(path).norms


def official_order(names: Iterable[str]) -> list[str]:
    """Sorts the norm names of a plain ResNet in the order of the official code.

    The norm of the stem comes first, then stage by stage and block by block: downsample, ``bn1``, ``bn2``, ``bn3``.
    Raises ValueError for other names, for which there is no official order.
    """
    places = {}
    for name in names:
        found = _RESNET_NORM.fullmatch(name)
        if name != 'bn1' and found is None:
            raise ValueError(
                f'the line of the official code is for plain ResNets, which have no norm {name!r}; use arch.json'
            )
        places[name] = (int(found['stage']), int(found['block']), int(found['number'] or 0)) if found else (0,)
    return sorted(places, key=places.__getitem__)


def read_switch_line(path: str | os.PathLike, names: Iterable[str]) -> dict[str, str]:
    """Reads the line of the official code, ``config.cfg``: 0 for split or 1 for share, 53 times for ResNet-50.

    Args:
        path (str | os.PathLike): The file.
        names (Iterable[str]): Names of the backbone's norms.

    Returns:
        dict[str, str]: ``'share'`` or ``'split'`` by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has other content, or another number of entries.
    """
    path, ordered = os.fspath(path), official_order(names)
    values = _read(path).split()
    wrong = [value for value in values if value not in (str(SPLIT), str(SHARE))]
    if wrong:
        raise ValueError(
            f'{path} contains {wrong[0]!r:.200}, but may contain only 0 (split) and 1 (share), separated by spaces'
        )
    if len(values) != len(ordered):
        raise ValueError(
            f'{path} has {len(values)} entries, but the backbone has {len(ordered)} norms; a ResNet-50 has 53: use '
            'the file and the backbone that belong together'
        )
    return {name: STATES[value == str(SPLIT)] for name, value in zip(ordered, values, strict=True)}


def switch_line(norms: Mapping[str, str]) -> str:
    """Writes an architecture as the official code does.

    Args:
        norms (Mapping[str, str]): ``'share'`` or ``'split'`` for each norm of a ResNet.

    Returns:
        str: 0 for split or 1 for share, in the official order, separated by spaces.
    """
    return ' '.join(str(SPLIT if norms[name] == 'split' else SHARE) for name in official_order(norms))


def config_fragment(norms: Mapping[str, str]) -> str:
    """Writes an architecture as the variable ``arch`` of a config, for ``_base_`` next to the config to train.

    It is not ``model``, because MMEngine allows no key twice in the configs of one ``_base_``.

    Args:
        norms (Mapping[str, str]): ``'share'`` or ``'split'`` for each norm.

    Returns:
        str: Python code.
    """
    # _delete_: replaces the architecture of the other config instead of merging with it.
    entries = ''.join(f'    {key!r}: {value!r},\n' for key, value in dict({'_delete_': True}, **norms).items())
    split = sum(state == 'split' for state in norms.values())
    return (
        f'# {split} of {len(norms)} norms are split. To train this: _base_ = [CONFIG, THIS_FILE] and\n'
        f'# model = dict(arch=_base_.arch)\narch = {{\n{entries}}}\n'
    )


def _checked(content: object, path: str) -> Architecture:
    """Returns the architecture in the content of a file; raises ValueError if something is wrong with it."""
    if not isinstance(content, dict) or 'norms' not in content:
        raise ValueError(f"{path} is not an arch.json: it has no entry 'norms'; use the file that a search wrote")
    if content.get('format') != FORMAT:
        raise ValueError(
            f'{path} has the format {content.get("format")!r:.200}, but this version of mmreid reads format {FORMAT}'
        )
    norms, probabilities = content['norms'], content.get('split_probability') or {}
    if not isinstance(norms, dict) or not norms:
        raise ValueError(f"{path}: 'norms' must give share or split for each norm, but is {norms!r:.200}")
    for name, state in norms.items():
        if state not in STATES:
            raise ValueError(f"{path}: the norm {name:.200} has the state {state!r:.200}; use 'share' or 'split'")
    backbone = content.get('backbone') or {}
    if not isinstance(backbone, dict):
        raise ValueError(f"{path}: 'backbone' must be a config, a dict, but is {backbone!r:.200}")
    if not isinstance(probabilities, dict) or (probabilities and set(probabilities) != set(norms)):
        raise ValueError(f"{path}: 'split_probability' must name the same norms as 'norms'")
    for name, value in probabilities.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise ValueError(
                f'{path}: the split probability of {name:.200} is {value!r:.200}, which is not within 0 and 1'
            )
    return Architecture(norms, backbone, probabilities)


def _read(path: str) -> str:
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'there is no architecture file {path}; give the arch.json of a search (or an official line of 0 and 1), '
            "or write the architecture as 'share', 'split' or a dict of layer names"
        )
    try:
        return Path(path).read_text(encoding='utf-8')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not an architecture file: it is not text') from error


def _entropy(probability: float) -> float:
    return -sum(p * math.log2(p) for p in (probability, 1 - probability) if p > 0) + 0.0
