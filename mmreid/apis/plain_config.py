# Copyright (c) mmreid contributors. All rights reserved.
"""Builds the network described by an untrusted file: from a list of allowed names, plain values and nothing else.

No text can name a file, an address or a Python object, because none may hold a dot, a slash or a colon. What is
described is first built without memory, and must not be much larger than the weights that come with it.
"""

import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import mmpretrain.models.backbones
from mmengine.registry import DefaultScope
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook

from mmreid.models import BaseReID
from mmreid.registry import MODELS
from mmreid.structures import InferenceContract
from mmreid.utils.meta_device import meta_device

#: Rooms of mmreid.models whose registered classes a file may name; no losses, memories or generators.
ROOMS = ('backbones', 'layers', 'matchers', 'mutators', 'necks', 'reid')
LAYERS = (
    'BN', 'BN1d', 'BN2d', 'SyncBN', 'GN', 'IN', 'IN2d', 'LN', 'LN2d', 'GRN',
    'ReLU', 'ReLU6', 'LeakyReLU', 'PReLU', 'GELU', 'SiLU', 'Swish', 'HSwish', 'HSigmoid', 'Sigmoid', 'Tanh',
    'Conv', 'Conv2d', 'GlobalAveragePooling', 'GeneralizedMeanPooling',
)  # fmt: skip
#: This backbone downloads.
REFUSED = ('TIMMBackbone',)

WORD = re.compile(r'[\w+-]{1,64}')
KEY = re.compile(r'[A-Za-z][\w.]{0,200}')
FORBIDDEN_KEYS = ('init_cfg', 'pretrained', 'custom_imports', 'checkpoint')
MAX_INT, MAX_SUM, MAX_FLOAT = 2**14, 2**16, 1e6
MAX_ENTRIES, MAX_DEPTH = 5000, 12


def build_described(contract: InferenceContract, num_tensors: int, num_values: int, place: str) -> BaseReID:
    """Builds the network of a contract that comes with ``num_tensors`` tensors of ``num_values`` numbers in all.

    Raises:
        ValueError: If the description holds more than may be built, or does not describe a network of that size.
    """
    steps = contract.preprocessing
    config = dict(contract.model, matcher=contract.matcher, flip_test=contract.flip_test)
    try:
        config = _checked(config, 'model', [0], 0)
        config['data_preprocessor'] = dict(
            type='mmreid.ReIDDataPreprocessor', mean=steps.mean, std=steps.std, to_rgb=steps.channel_order == 'rgb'
        )
        with meta_device(), _at_most_modules(500 + 4 * num_tensors):
            size = sum(value.numel() for value in _build(config).state_dict().values())
        if size > 10**6 + 4 * num_values:
            raise ValueError(f'a network of {size} numbers is described, but the weights have {num_values}')
        return _build(config)
    except ValueError as error:
        raise ValueError(
            f'{place} describes a model that is not built ({error}); give the config that it was trained with'
        ) from error


def _build(config: dict) -> BaseReID:
    try:
        with DefaultScope.overwrite_default_scope('mmreid'):
            model = MODELS.build(config)
    except Exception as error:  # what a class raises for values of a stranger can be anything
        raise ValueError(f'{type(error).__name__}: {" ".join(str(error).split())[:300]}') from error
    if not isinstance(model, BaseReID):
        raise ValueError(f'{type(model).__name__} is not a re-ID model')
    return model


@cache
def allowed_types() -> dict[str, str]:
    """Returns the names that a file may use, each with the scope that it is built in."""
    own = {
        name: f'mmreid.{name}'
        for name, kind in MODELS.module_dict.items()
        if kind.__module__.startswith(tuple(f'mmreid.models.{room}.' for room in ROOMS)) or name == 'NoHead'
    }
    backbones = {name: name for name in mmpretrain.models.backbones.__all__ if name not in REFUSED}
    return {**backbones, **{name: name for name in LAYERS}, **own}


def _checked(value: Any, place: str, count: list[int], depth: int) -> Any:
    """Copies plain values, types with their scope; raises on anything else."""
    count[0] += 1
    if count[0] > MAX_ENTRIES or depth > MAX_DEPTH:
        raise ValueError(f'it has more than {MAX_ENTRIES} entries, or {MAX_DEPTH} levels')
    if isinstance(value, dict):
        return {key: _checked_entry(key, item, place, count, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        if sum(abs(item) for item in value if isinstance(item, int)) > MAX_SUM:  # depths: one layer for each
            raise ValueError(f'the numbers of {place} are more than {MAX_SUM} in all')
        return [_checked(item, place, count, depth + 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and WORD.fullmatch(value):
        return value
    if isinstance(value, int) and abs(value) <= MAX_INT:
        return value
    if isinstance(value, float) and math.isfinite(value) and abs(value) <= MAX_FLOAT:
        return value
    raise ValueError(f'{place}={_short(value)} is neither a word nor a number of an ordinary size')


def _checked_entry(key: Any, value: Any, place: str, count: list[int], depth: int) -> Any:
    if not isinstance(key, str) or not KEY.fullmatch(key) or key in FORBIDDEN_KEYS:
        raise ValueError(f'{place} has the key {_short(key)}')
    if key != 'type':
        return _checked(value, f'{place}.{key}', count, depth)
    if not isinstance(value, str) or value not in allowed_types():
        raise ValueError(f'{place}.type={_short(value)} is not on the list of what may be built')
    return allowed_types()[value]


def _short(value: Any) -> str:
    if isinstance(value, int):
        return f'an integer of {value.bit_length()} bits'  # Python refuses to write very large ones
    return f'{value!r:.60}'


@contextmanager
def _at_most_modules(count: int) -> Iterator[None]:
    """Stops a network that would take too long to build even without memory; other threads may build theirs."""
    built, builder = 0, threading.get_ident()

    def register(parent: nn.Module, name: str, module: nn.Module | None) -> None:
        nonlocal built
        built += threading.get_ident() == builder
        if built > count and threading.get_ident() == builder:
            raise ValueError(f'a network of more than {count} modules is described, more than its weights need')

    handle = register_module_module_registration_hook(register)
    try:
        yield
    finally:
        handle.remove()
