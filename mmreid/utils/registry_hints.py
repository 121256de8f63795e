# Copyright (c) mmreid contributors. All rights reserved.
"""Explains in one sentence a wrong ``type``, argument or value in a config."""

import difflib
import inspect
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.registry import Registry

from mmreid import registry

_UNKNOWN_TYPE = re.compile(r'(?:\w+\.)?(\w+) is not in the \w+::(\w+) registry')
_PACKAGE = re.compile(r'pip install ([^"]+)')
_UNKNOWN_ARGUMENT = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")


@contextmanager
def suggest_names() -> Iterator[None]:
    """Suggests the nearest registered type, or argument, when one inside the context is unknown.

    Raises:
        ImportError: From MMEngine, about a package that is not installed, with the component that needs it.
        KeyError: From MMEngine, about an unknown type, with the suggestion, or about an entry without a type.
        TypeError: From Python, about an unknown argument, with the suggestion; or from MMEngine, about a word in place
            of a component.
    """
    try:
        yield
    except ImportError as error:
        found = _PACKAGE.search(str(error))
        asker = _last_frame(error).get('self')
        if found is None or asker is None:
            raise
        raise ImportError(
            f'{type(asker).__name__} of the config needs something that is not installed: pip install {found[1]}'
        ) from error
    except KeyError as error:
        if 'must contain the key "type"' in str(error):
            entry = ', '.join(f'{key}={value!r}' for key, value in _last_frame(error)['cfg'].items())
            raise KeyError(f'dict({entry}) in the config has no type, which says what to build') from error
        found = _UNKNOWN_TYPE.search(str(error))
        if found is None:
            raise
        known = [name for node in _registries(found[2]) for name in node.module_dict]
        hint = _did_you_mean(found[1], known) or 'check its spelling and custom_imports.'
        raise KeyError(f"type '{found[1]}' is not in the {found[2]} registry; {hint} ({error.args[0]})") from error
    except TypeError as error:
        if str(error).startswith('cfg should be a dict'):
            value = _last_frame(error)['cfg']
            raise TypeError(
                f'the config has {value!r} where a dict must say what to build; write dict(type={value!r}, ...)'
            ) from error
        found = _UNKNOWN_ARGUMENT.search(str(error))
        if found is None:
            raise
        classes = [node.module_dict[found[1]] for node in _registries() if found[1] in node.module_dict]
        known = sorted({name for entry in classes for name in _arguments(entry)})
        hint = _did_you_mean(found[2], known) or _what_it_takes(known)
        raise TypeError(f"{found[1]} in the config takes no '{found[2]}'; {hint}") from error


def _last_frame(error: Exception) -> dict[str, Any]:
    """Returns the variables of the function that raised."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_locals


def _did_you_mean(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.6)
    return f"did you mean '{near[0]}'?" if near else ''


def _what_it_takes(known: list[str]) -> str:
    if not known:
        return 'check its spelling.'
    return f'it takes {", ".join(known)}. _delete_=True next to type drops what a base config set for another type.'


def _registries(kind: str | None = None) -> Iterator[Registry]:
    """Yields our registries, of one kind or all, and their parents."""
    for node in (vars(registry)[name] for name in registry.__all__):
        while node is not None and kind in (None, node.name):
            yield node
            node = node.parent


def _arguments(entry: type) -> set[str]:
    """Lists the named arguments of a class and its bases."""
    names = set()
    for base in inspect.getmro(entry) if inspect.isclass(entry) else ():
        if '__init__' in vars(base):
            names |= set(inspect.signature(base.__init__).parameters)
    return names - {'self', 'args', 'kwargs'}
