# Copyright (c) mmreid contributors. All rights reserved.
"""Counts, without a GPU, where the host would wait for one: the tensors of the device lie on the meta device."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

ROOT = Path(__file__).parents[1]
aten = torch.ops.aten
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index}
# The size of the result depends on values, or the result is a number of the host.
WAITING = {
    aten._local_scalar_dense,
    aten._unique2,
    aten.bincount,
    aten.equal,
    aten.masked_select,
    aten.nonzero,
    aten.repeat_interleave,
    aten.unique_consecutive,
    aten.unique_dim,
}


class SyncCounter(TorchDispatchMode):
    """Counts operations that would make the host wait for a GPU, by the line of code that asks for them.

    A tensor on the meta device stands for one on a GPU. It has no values, so an operation that needs them is answered
    with made-up ones: 1, or true everywhere. What a GPU refuses, tensors of both devices in one operation, is refused
    here too, which the meta device alone does not always do.

    Attributes:
        places (Counter[str]): How often each line waited, as ``file:line operation``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.places: Counter[str] = Counter()
        self._numbers = _NumberCounter(self)

    def __enter__(self) -> 'SyncCounter':
        self._numbers.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._numbers.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        packet = func.overloadpacket
        if packet in (aten._to_copy, aten.copy_):
            return self._copy(func, args, kwargs)
        self._refuse_both_devices(func, args, kwargs)
        if packet in INDEXING and args[0].is_meta:
            args = (args[0], [each for index in args[1] for each in self._index(index)], *args[2:])
        knows_size = packet is aten.repeat_interleave and kwargs.get('output_size') is not None
        if packet in WAITING and not knows_size and any(isinstance(each, Tensor) and each.is_meta for each in args):
            self.note(packet.__name__)
            made_up = func(*(_ones(each) for each in args), **kwargs)
            return torch.utils._pytree.tree_map_only(Tensor, lambda each: each.to('meta'), made_up)
        return func(*args, **kwargs)

    def _copy(self, func: Any, args: tuple, kwargs: dict) -> Any:
        """Copies between host and device: only one to the device that does not block lets the host go on."""
        in_place = func.overloadpacket is aten.copy_
        source = args[1] if in_place else args[0]
        target = args[0].device if in_place else torch.device(kwargs.get('device') or source.device)
        crosses = isinstance(source, Tensor) and source.is_meta != (target.type == 'meta')
        non_blocking = args[2] if in_place and len(args) > 2 else kwargs.get('non_blocking', False)
        if crosses and source.is_meta and non_blocking:
            raise RuntimeError('a copy to the host that does not block may be read before it has arrived')
        if crosses and (source.is_meta or not non_blocking):
            self.note('to the host' if source.is_meta else 'to the device, blocking')
        if crosses and source.is_meta:
            args = (args[0], _ones(source), *args[2:]) if in_place else (_ones(source), *args[1:])
        return func(*args, **kwargs)

    @staticmethod
    def _refuse_both_devices(func: Any, args: tuple, kwargs: dict) -> None:
        """Raises a RuntimeError for tensors of both devices; a scalar of the host, or indices there, may be used."""
        if func.overloadpacket in INDEXING and args[0].is_meta:
            args = (args[0], *args[2:])
        tensors = [each for each in torch.utils._pytree.tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        if any(each.is_meta for each in tensors) and any(each.ndim for each in tensors if not each.is_meta):
            shown = ', '.join(f'{tuple(each.shape)} on {each.device}' for each in tensors)
            raise RuntimeError(f'{func} has tensors of both devices: {shown}')

    def _index(self, index: Tensor | None) -> list[Tensor | None]:
        """Returns an index as numbers of places on the device."""
        if index is None:
            return [None]
        if not index.is_meta:
            self.note('index on the host')
            places = index.nonzero(as_tuple=True) if index.dtype is torch.bool else [index]
            return [each.to('meta') for each in places]
        if index.dtype is torch.bool:
            self.note('boolean index')
            return [each.to('meta') for each in _ones(index).nonzero(as_tuple=True)]
        return [index]

    def note(self, what: str) -> None:
        """Counts a wait for the line of code outside of torch that asks for it."""
        frame = sys._getframe(2)
        lines = []
        while frame:
            path = Path(frame.f_code.co_filename)
            if 'torch' not in path.parts and path != Path(__file__) and len(lines) < 2:
                shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(*path.parts[-3:])
                lines.append(f'{shown}:{frame.f_lineno}')
            frame = frame.f_back
        self.places[f'{" < ".join(lines)} {what}'] += 1


def _ones(value: Any) -> Any:
    return torch.ones(value.shape, dtype=value.dtype) if isinstance(value, Tensor) and value.is_meta else value


class _NumberCounter(TorchFunctionMode):
    """Counts numbers of Python that are copied to the device, which no dispatch shows."""

    MAKERS = (torch.tensor, torch.as_tensor, Tensor.new_tensor)
    INDEXING = (Tensor.__getitem__, Tensor.__setitem__)

    def __init__(self, counter: SyncCounter) -> None:
        super().__init__()
        self.counter = counter

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in self.MAKERS and result.is_meta and not isinstance(args[-1], Tensor):
            self.counter.note('numbers to the device')
        if func in self.INDEXING and args[0].is_meta:
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            if any(isinstance(each, list | range | np.ndarray) for each in index):
                self.counter.note('numbers to the device')
        return result
