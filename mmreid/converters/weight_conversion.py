# Copyright (c) mmreid contributors. All rights reserved.
"""Reads weights of other toolboxes, and checks that the converted weights fill a model."""

import os
import pprint
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from terminaltables import AsciiTable
from torch import Tensor

from mmreid.registry import MODELS
from mmreid.utils.atomic_io import atomic_write, ensure_new
from mmreid.utils.checkpoint import CheckpointError, load_checkpoint_file
from mmreid.utils.load_report import load_weights
from mmreid.utils.meta_device import meta_device
from mmreid.utils.setup_env import register_all_modules

State = dict[str, Tensor]
_SHOWN = 6


@dataclass
class Conversion:
    """Weights under our names, and what happened to each entry of the source.

    Attributes:
        config (dict): Config of the model that they fill.
        state (dict[str, Tensor]): The weights.
        used (list[str]): Entries of the source that are in ``state``.
        dropped (dict[str, str]): Those that are not, and why.
        filled (dict[str, str]): Entries of ``state`` that the source lacks, and what they are.
    """

    config: dict
    state: State
    used: list[str]
    dropped: dict[str, str] = field(default_factory=dict)
    filled: dict[str, str] = field(default_factory=dict)


def read_weights(path: str | os.PathLike, entries: Sequence[str]) -> State:
    """Reads a state dict from a file of another toolbox, without running code from it.

    Args:
        path (str | os.PathLike): The file.
        entries (Sequence[str]): Entries that may hold the state dict; without them, the file itself is one.

    Returns:
        dict[str, Tensor]: Weights, without the prefix ``module.``; NumPy arrays become tensors.

    Raises:
        CheckpointError: If it is not a checkpoint, or holds objects that need code to load.
        ValueError: If it holds no weights.
    """
    content = load_checkpoint_file(path)
    state = next((content[entry] for entry in entries if isinstance(content.get(entry), Mapping)), content)
    weights = {}
    for key, value in state.items():
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(np.array(value))
        if isinstance(value, Tensor):
            weights[str(key).removeprefix('module.')] = value.detach().clone()
    if not weights:
        raise ValueError(f'{path} holds no weights, only {", ".join(list(map(str, state))[:5]) or "nothing"}')
    return weights


def check_fills(conversion: Conversion, path: str | os.PathLike) -> None:
    """Raises a ValueError, naming the source ``path``, if no weights were used or they do not fill the model."""
    if not conversion.used:
        raise ValueError(f'nothing of {path} was used, as no entry fits the model; convert a file of such a model')
    require_fit(conversion.config, conversion.state, path)


def require_fit(config: Mapping, state: State, path: str | os.PathLike) -> None:
    """Raises a ValueError that names the entries if weights do not fill the whole model.

    The model is built without memory, whatever sizes the weights claim. ``path`` is the source, for the message.
    """
    with meta_device():
        model = MODELS.build(config)
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='.*copying from a non-meta parameter')
        report = load_weights(model, state)
    if not report.is_exact:
        raise ValueError(f'{path} does not fill the model: {report}; the file is incomplete or of another model')


@contextmanager
def converting(path: str | os.PathLike) -> Iterator[None]:
    """Turns any error but that of a file into a ValueError that names ``path``: foreign weights may cause any."""
    try:
        yield
    except (OSError, CheckpointError):
        raise
    except Exception as error:
        cause = str(error).partition('\n')[0]
        if isinstance(error, ValueError):
            raise ValueError(cause if str(path) in cause else f'{path}: {cause}') from error
        raise ValueError(
            f'{path} cannot be converted, as its weights belong to no known model ({type(error).__name__}: {cause})'
        ) from error


def convert_file(
    src: Path,
    dst: Path,
    convert: Callable[[State], Conversion],
    entries: Sequence[str],
    source: str,
    force: bool = False,
) -> None:
    """Converts a file of weights, and prints what happened to its entries.

    Args:
        src (Path): The file of the other toolbox.
        dst (Path): The checkpoint to write; the model that it fills goes beside it.
        convert (Callable[[State], Conversion]): Converts the weights.
        entries (Sequence[str]): See :func:`read_weights`.
        source (str): Name of the toolbox.
        force (bool): Whether files that exist may be replaced. Defaults to False.

    Raises:
        FileExistsError: If a file must be kept.
        ValueError: If the weights are of another model.
    """
    beside = Path(f'{dst}.model.py')
    ensure_new([dst, beside], force)
    register_all_modules()
    with converting(src):
        found = convert(read_weights(src, entries))
        write_conversion(found, src, dst, source)
    print(key_table(found))
    print(f'wrote {dst} and {beside.name}')


def write_conversion(conversion: Conversion, src: str | os.PathLike, dst: str | os.PathLike, source: str) -> None:
    """Writes converted weights, and the model that they fill as ``<dst>.model.py``; nothing if they do not fill it.

    Args:
        conversion (Conversion): The converted weights.
        src (str | os.PathLike): Their source, for messages.
        dst (str | os.PathLike): The checkpoint to write.
        source (str): Name of the toolbox.
    """
    check_fills(conversion, src)
    content = dict(meta=dict(source=source, model=conversion.config), state_dict=conversion.state)
    atomic_write(dst, lambda file: torch.save(content, file))
    atomic_write(f'{dst}.model.py', model_file(conversion.config))


def key_table(conversion: Conversion) -> str:
    """Draws a table of what happened to the parts of the source, and a line per reason to drop or fill an entry."""
    parts = list(dict.fromkeys(_part(key) for key in [*conversion.used, *conversion.dropped]))
    rows = [[part, _count(part, conversion.used), _count(part, conversion.dropped)] for part in parts]
    rows.append(['all', len(conversion.used), len(conversion.dropped)])
    lines = [AsciiTable([['entries of the source', 'used', 'dropped'], *rows]).table]
    for kind, keys in (('dropped', conversion.dropped), ('missing, so filled', conversion.filled)):
        for reason in dict.fromkeys(keys.values()):
            lines.append(f'{kind} ({reason}): {_some([key for key in keys if keys[key] == reason])}')
    return '\n'.join(lines)


def model_file(config: Mapping) -> str:
    """Writes a model as the text of a config file, for the ``_base_`` of other configs."""
    return f'model = {pprint.pformat(dict(config), sort_dicts=False, width=110)}\n'


def plain_norm(width: int) -> State:
    """Makes ``neck.bn``: a batch norm of ``width`` channels that changes nothing, for a source without it."""
    return {f'neck.bn.{key}': value for key, value in torch.nn.BatchNorm1d(width).state_dict().items()}


def _part(key: str) -> str:
    first, *rest = key.split('.')
    return f'{first}.{rest[0]}' if first in ('backbone', 'heads') and rest else first


def _count(part: str, keys: Iterable[str]) -> int:
    return sum(_part(key) == part for key in keys)


def _some(keys: Sequence[str]) -> str:
    return ', '.join(keys[:_SHOWN]) + (f' and {len(keys) - _SHOWN} more' if len(keys) > _SHOWN else '')
