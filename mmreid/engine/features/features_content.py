# Copyright (c) mmreid contributors. All rights reserved.
"""Checks the content of a features file, which may be hostile, before anything is built or ranked from it."""

import inspect
import re
import reprlib
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor, nn

from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.registry import MODELS
from mmreid.structures import MODALITIES

_brief = reprlib.Repr()  # bounded in time and length, however large the value
_brief.maxstring = _brief.maxother = 80
_PLAIN = (bool, int, float, str, type(None))
_CONTROL = re.compile(r'[\x00-\x1f\x7f]')
_HASH = re.compile(r'[0-9a-f]{16}')
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_MODALITIES = (None, *MODALITIES)
_LABELS = dict(pid=torch.int64, camid=torch.int64, timestamp=torch.float64, image_index=torch.int64)
_LISTS = dict(sample_idx=int, img_path=str, **dict.fromkeys(('modality', 'pid_name', 'camid_name'), (str, type(None))))
_REQUIRED = ('pid', 'camid', 'sample_idx', 'img_path', 'feature')


def read_matcher(content: Any, path: str) -> nn.Module:
    """Builds the matcher of a features file, which must be registered in mmreid and take plain arguments.

    Args:
        content (Any): Entry ``matcher`` of the file: ``config`` and ``state``.
        path (str): The file, for messages.

    Returns:
        nn.Module: The matcher with its weights, in evaluation mode.

    Raises:
        ValueError: If it is anything else; the message names the file and the value.
    """
    config, state = (_entry(content, key, dict, f'{path}: matcher') for key in ('config', 'state'))
    kind, arguments = _matcher_class(config.get('type'), path), {}
    known = set(inspect.signature(kind).parameters) - {'init_cfg'}
    for name, value in config.items():
        if name == 'type' or (name == 'init_cfg' and value is None):
            continue
        parts = value if isinstance(value, (list, tuple)) else [value]
        if name not in known or len(parts) > 16 or not all(isinstance(part, _PLAIN) for part in parts):
            raise ValueError(
                f'{path}: matcher.config has {name}={_short(value)}, but {kind.__name__} of a features file takes '
                f'plain values of {", ".join(sorted(known)) or "nothing"} only; save the features again'
            )
        arguments[name] = value
    try:
        with torch.device('meta'):  # allocates no memory before the shapes are compared with those of the file
            wanted = {name: tuple(value.shape) for name, value in kind(**arguments).state_dict().items()}
    except Exception as error:  # values from the file may cause any error
        cause = str(error).partition('\n')[0]
        raise ValueError(f'{path}: {kind.__name__} cannot be built with {_short(arguments)} ({cause})') from error
    found = {name: tuple(value.shape) if isinstance(value, Tensor) else None for name, value in state.items()}
    if found != wanted:
        raise ValueError(
            f'{path}: matcher.state has the shapes {_short(found)}, but {kind.__name__} needs {_short(wanted)}'
        )
    matcher = kind(**arguments)
    matcher.load_state_dict(state)
    return matcher.eval()


def read_model(content: Any, path: str) -> dict[str, str] | None:
    """Checks the entry ``model`` of a features file: its name and hash, and what it knows of its contract; or None.

    Raises a ValueError for anything else.
    """
    if content is None:
        return None
    keys = ('name', 'hash', *(['contract'] if isinstance(content, dict) and 'contract' in content else []))
    known = {key: _entry(content, key, str, f'{path}: model') for key in keys}
    if (
        not all(_HASH.fullmatch(known[key]) for key in keys[1:])
        or len(known['name']) > 300
        or _CONTROL.search(known['name'])
    ):
        raise ValueError(f'{path}: model has {_short(known)}, which is not a name and a hash; save the features again')
    return known


def read_test_sets(content: Any, path: str) -> list[dict[str, Any]]:
    """Checks the test sets of a features file.

    Args:
        content (Any): Entry ``test_sets`` of the file.
        path (str): The file, for messages.

    Returns:
        list[dict[str, Any]]: ``meta`` (dict), ``query`` and ``gallery`` (RetrievalSet) of each test set.

    Raises:
        ValueError: If an entry is missing or not what :func:`save_features` writes; the message names the file and the
            value.
    """
    if not isinstance(content, list) or not content:
        raise ValueError(f'{path}: test_sets must be a list of at least one test set, but is {_short(content)}')
    test_sets = []
    for number, entry in enumerate(content):
        place = f'{path}: test_sets[{number}]'
        sets = [_retrieval_set(_entry(entry, name, dict, place), f'{place}.{name}') for name in ('query', 'gallery')]
        query, gallery = (images.feature for images in sets)
        if query.shape[1:] != gallery.shape[1:] or query.dtype != gallery.dtype:
            raise ValueError(
                f'{place}: the features of queries are {tuple(query.shape)} {query.dtype}, those of the gallery '
                f'{tuple(gallery.shape)} {gallery.dtype}; they must be of one kind'
            )
        meta = _meta(_entry(entry, 'meta', dict, place), f'{place}.meta')
        test_sets.append(dict(meta=meta, query=sets[0], gallery=sets[1]))
    return test_sets


def known_matchers() -> dict[str, type[nn.Module]]:
    """Returns the classes a features file may name: ``...Matcher`` in mmreid's registry, a config's own included."""
    MODELS.import_from_location()
    return {name: kind for name, kind in MODELS.module_dict.items() if name.endswith('Matcher')}


def _matcher_class(name: Any, path: str) -> type[nn.Module]:
    known = known_matchers()  # MMEngine's look-up would import any dotted name
    short = name.removeprefix('mmreid.') if isinstance(name, str) else ''
    if short not in known:
        raise ValueError(
            f'{path}: matcher.config has type={_short(name)}, which is refused, as it is not a matcher of mmreid and '
            f'could run code; those are {", ".join(sorted(known))}'
        )
    return known[short]


def _retrieval_set(content: dict, place: str) -> RetrievalSet:
    missing = [key for key in _REQUIRED if key not in content]
    if missing:
        raise ValueError(f'{place} has no {", ".join(missing)}; save the features again')
    feature = content['feature']
    if (
        not isinstance(feature, Tensor)
        or feature.dtype not in _FLOATS
        or feature.ndim not in (2, 4)
        or 0 in feature.shape[1:]
    ):
        raise ValueError(
            f'{place}.feature must be numbers of 16, 32 or 64 bits and of shape (N, D) or (N, C, H, W) with at least '
            f'one number an image, but is {_short(feature)}; save the features again'
        )
    count = len(feature)
    checked: dict[str, Any] = dict(feature=feature)
    for key, dtype in _LABELS.items():
        value = content.get(key)
        if key in content and (not isinstance(value, Tensor) or value.dtype != dtype or value.shape != (count,)):
            raise ValueError(f'{place}.{key} must be a tensor of {count} {dtype}, but is {_short(value)}')
        if key in content:
            checked[key] = value
    for key, kinds in _LISTS.items():
        values = content.get(key)
        if key not in content:
            continue
        if not isinstance(values, list) or len(values) != count:
            raise ValueError(f'{place}.{key} must be a list of {count} entries, but is {_short(values)}')
        for value in values:
            if not isinstance(value, kinds) or (key == 'modality' and value not in _MODALITIES):
                raise ValueError(f'{place}.{key} holds {_short(value)}, which is not of its kind')
        checked[key] = values
    return RetrievalSet(**checked)


def _meta(meta: dict, place: str) -> dict:
    for key, value in meta.items():
        if not isinstance(key, str) or not isinstance(value, (str, int, float)):
            raise ValueError(f'{place} has {_short(key)}: {_short(value)}, but must hold plain texts and numbers')
    name = meta.get('dataset_name', 'reid')
    # The name becomes a folder.
    if not isinstance(name, str) or not name or len(name) > 200 or _CONTROL.search(name) or _leaves(name):
        raise ValueError(f'{place} has dataset_name={_short(name)}, which is not a plain name')
    return meta


def _leaves(name: str) -> bool:
    path = PurePath(name.replace('\\', '/'))
    return path.is_absolute() or '..' in path.parts or ':' in name


def _entry(content: Any, key: str, kind: type, place: str) -> Any:
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, kind):
        raise ValueError(f'{place}.{key} must be a {kind.__name__}, but is {_short(value)}; save the features again')
    return value


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        return f'a tensor {tuple(value.shape)} of {value.dtype}'
    return _brief.repr(value)
