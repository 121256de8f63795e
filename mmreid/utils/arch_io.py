# Copyright (c) mmreid contributors. All rights reserved.
"""Files that say which norms of a network are shared and which split: ``arch.json``, the official line, a config."""

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
        norms (dict[str, str]): ``'share'`` or ``'split'`` of each norm, by its name in the backbone.
        backbone (dict): Config of the backbone that it was made for.
        split_probability (dict[str, float]): Probability of ``'split'`` when it was chosen, by name; empty for an
            architecture that was not searched.
    """

    norms: dict[str, str]
    backbone: dict = field(default_factory=dict)
    split_probability: dict[str, float] = field(default_factory=dict)

    @property
    def entropy(self) -> dict[str, float]:
        """dict[str, float]: Undecidedness of each norm in bits: 1 is undecided, 0 decided."""
        return {name: _entropy(probability) for name, probability in self.split_probability.items()}


def save_arch(path: str | os.PathLike, arch: Architecture) -> None:
    """Writes an ``arch.json``.

    Args:
        path (str | os.PathLike): The file; it is complete or absent.
        arch (Architecture): What to write.

    Raises:
        ValueError: If it would not be read back.
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
        Architecture: What it says.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not what :func:`save_arch` writes.
    """
    path = os.fspath(path)
    try:
        content = parse_json(_read(path))
    except ValueError as error:
        raise ValueError(f'{path} is no arch.json: it is not JSON ({error}); write it anew') from error
    return _checked(content, path)


def read_arch(path: str | os.PathLike, names: Iterable[str]) -> dict[str, str]:
    """Reads an architecture for a backbone, from an ``arch.json`` or an official line.

    Args:
        path (str | os.PathLike): The file; one that starts with a digit is an official line.
        names (Iterable[str]): Names of the backbone's norms.

    Returns:
        dict[str, str]: ``'share'`` or ``'split'`` by name. Whether an ``arch.json`` fits the names is for
        :func:`mmreid.models.layers.resolve_arch` to tell.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is neither, or a line does not fit the names.
    """
    if _read(os.fspath(path)).lstrip()[:1].isdigit():
        return read_switch_line(path, names)
    return load_arch(path).norms


def official_order(names: Iterable[str]) -> list[str]:
    """Sorts the norms of a ResNet as the official code counts them: in each block, the downsample norm comes first.

    Args:
        names (Iterable[str]): Names of all norms.

    Returns:
        list[str]: The stem's norm, then stage by stage and block by block: downsample, ``bn1``, ``bn2``, ``bn3``.

    Raises:
        ValueError: If the names are not those of a plain ResNet, for which alone there is an official order.
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
    """Reads the line of the official code, ``config.cfg``: 0 for split and 1 for share, 53 times for ResNet-50.

    Args:
        path (str | os.PathLike): The file.
        names (Iterable[str]): Names of the backbone's norms.

    Returns:
        dict[str, str]: ``'share'`` or ``'split'`` by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else, or another number of entries.
    """
    path, ordered = os.fspath(path), official_order(names)
    values = _read(path).split()
    wrong = [value for value in values if value not in (str(SPLIT), str(SHARE))]
    if wrong:
        raise ValueError(
            f'{path} holds {wrong[0]!r:.200}, but must hold only 0 (split) and 1 (share), with spaces between'
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
        norms (Mapping[str, str]): ``'share'`` or ``'split'`` of each norm of a ResNet.

    Returns:
        str: 0 for split and 1 for share, in the official order, with spaces between.
    """
    return ' '.join(str(SPLIT if norms[name] == 'split' else SHARE) for name in official_order(norms))


def config_fragment(norms: Mapping[str, str]) -> str:
    """Writes an architecture as the variable ``arch`` of a config, to stand in ``_base_`` beside the config to train.

    It is no ``model``, as MMEngine lets no two configs of a ``_base_`` have the same key.

    Args:
        norms (Mapping[str, str]): ``'share'`` or ``'split'`` of each norm.

    Returns:
        str: Python code.
    """
    # _delete_: whatever architecture the other config has is replaced, not mixed with this one.
    entries = ''.join(f'    {key!r}: {value!r},\n' for key, value in dict({'_delete_': True}, **norms).items())
    split = sum(state == 'split' for state in norms.values())
    return (
        f'# {split} of {len(norms)} norms are split. To train this: _base_ = [CONFIG, THIS_FILE] and\n'
        f'# model = dict(arch=_base_.arch)\narch = {{\n{entries}}}\n'
    )


def _checked(content: object, path: str) -> Architecture:
    """Makes an architecture of the content of a file, or says what is wrong with it."""
    if not isinstance(content, dict) or 'norms' not in content:
        raise ValueError(f"{path} is no arch.json: it has no entry 'norms'; use the file that a search wrote")
    if content.get('format') != FORMAT:
        raise ValueError(
            f'{path} has the format {content.get("format")!r:.200}, but this version of mmreid reads format {FORMAT}'
        )
    norms, probabilities = content['norms'], content.get('split_probability') or {}
    if not isinstance(norms, dict) or not norms:
        raise ValueError(f"{path}: 'norms' must say share or split of each norm, but is {norms!r:.200}")
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
        raise ValueError(f'{path} is no architecture file: it is not text') from error


def _entropy(probability: float) -> float:
    return -sum(p * math.log2(p) for p in (probability, 1 - probability) if p > 0) + 0.0
