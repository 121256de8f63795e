# Copyright (c) mmreid contributors. All rights reserved.
"""Lets checkpoints written by MMEngine load with ``torch.load(weights_only=True)``, and nothing else.

Since torch 2.6 ``torch.load`` reads only what is on a list of safe globals. MMEngine's training checkpoints hold log
histories (``HistoryBuffer``, numpy arrays) and, for one scheduler, a static method, so resume, ``load_from`` and test
all fail. The obvious list - ``numpy.ndarray``, ``numpy.dtype``, ``builtins.getattr`` - would undo the protection:
``getattr`` reaches ``__globals__`` of any function, and ``numpy.ndarray(shape, 'O', some_bytes)`` forges object
pointers. Each of these names is therefore mapped to a function here that does only what MMEngine's checkpoints need.
"""

import pickle  # noqa: TID251  for the class of its errors
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

__all__ = ['register_safe_globals']

# One dtype for each size of the plain kinds: bool, integers, floats, complex numbers, bytes and str. Never objects,
# structures or raw bytes.
_PLAIN_DTYPES = ('?', 'b', 'B', 'h', 'H', 'i', 'I', 'l', 'L', 'q', 'Q', 'e', 'f', 'd', 'g', 'F', 'D', 'G', 'S', 'U')

# The functions numpy itself names in a pickle. Taken from a pickled value, because their home is private and moved.
_NUMPY_SCALAR = np.float64(0).__reduce__()[0]
_NUMPY_RECONSTRUCT = np.zeros(0).__reduce__()[0]


def _refuse(what: str) -> pickle.UnpicklingError:
    """Makes the error for something that no checkpoint of MMEngine contains."""
    return pickle.UnpicklingError(
        f'The checkpoint asks for {what}, which no checkpoint of MMEngine contains and which mmreid does not allow, '
        'because it could run code hidden in the file: use a checkpoint from a source you trust.'
    )


def _ndarray_name(*args: Any) -> None:
    """Stands for ``numpy.ndarray`` in a pickle, which may pass it as an argument, but not call it."""
    raise _refuse('a direct call of numpy.ndarray')


def _plain_dtype(spec: Any, *args: Any) -> np.dtype:
    """Stands for ``numpy.dtype``: makes plain numeric, bool, bytes and str types; ``args`` mean nothing for these."""
    dtype = np.dtype(spec)
    if dtype.kind not in 'biufcSU':
        raise _refuse(f'the numpy type {dtype}')
    return np.dtype(dtype, copy=True)  # the pickle sets its byte order afterwards


def _plain_reconstruct(subtype: Any, shape: Any, typecode: Any) -> np.ndarray:
    """Stands for numpy's ``_reconstruct``: makes the empty array that the pickle then fills."""
    if subtype is not _ndarray_name:
        raise _refuse(f'an array of class {subtype!r}')
    return _NUMPY_RECONSTRUCT(np.ndarray, (0,), b'b')  # what numpy always writes here


def _restricted_getattr(owner: Any, name: Any) -> Callable:
    """Stands for ``builtins.getattr``: returns the few functions that MMEngine's checkpoints refer to."""
    from mmengine.logging import HistoryBuffer
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

    if owner is HistoryBuffer and name in ('min', 'max', 'mean', 'current'):
        return getattr(HistoryBuffer, name)
    if owner is OneCycleParamScheduler and name in ('_annealing_cos', '_annealing_linear'):
        return getattr(OneCycleParamScheduler, name)
    raise _refuse(f'getattr({getattr(owner, "__name__", owner)!r}, {name!r})')


def register_safe_globals() -> None:
    """Adds what MMEngine's checkpoints contain to torch's list of safe globals; a second call changes nothing.

    Tested with checkpoints of every MMEngine scheduler, ``EMAHook`` and ``EarlyStoppingHook``, written under numpy 1
    and numpy 2. Does nothing below torch 2.6, which has no list of (object, name) pairs.

    Called by :func:`mmreid.utils.checkpoint.load_checkpoint_file` and :func:`mmreid.utils.register_all_modules`.
    """
    from mmengine.logging import HistoryBuffer
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
    from mmengine.utils import digit_version

    if digit_version(torch.__version__) < digit_version('2.6'):
        return

    named: list[Any] = [
        HistoryBuffer,
        OneCycleParamScheduler,
        (_restricted_getattr, 'builtins.getattr'),
        (_ndarray_name, 'numpy.ndarray'),
        (_plain_dtype, 'numpy.dtype'),
    ]
    for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        named.append((_plain_reconstruct, f'{module}._reconstruct'))
        named.append((_NUMPY_SCALAR, f'{module}.scalar'))
    torch.serialization.add_safe_globals(named + _filled_but_not_named())


def _filled_but_not_named() -> list[tuple[type, str]]:
    """Lists classes whose values a pickle may fill, but which it may not name, and so not call."""
    # torch keeps one list for both. A name with a line break cannot be written in a pickle, where a line break ends the
    # name; so these classes are on the list and yet out of reach.
    classes = {np.ndarray, *(type(np.dtype(code)) for code in _PLAIN_DTYPES)}
    return [(cls, f'{cls.__module__}.{cls.__qualname__}\n(filled only)') for cls in classes]
