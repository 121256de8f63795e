# Copyright (c) mmreid contributors. All rights reserved.
"""Adds 'did you mean' to what MMEngine and Python say about a misspelt ``type`` or argument in a config."""

import difflib
import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.registry import Registry

from mmreid import registry

_UNKNOWN_TYPE = re.compile(r'(?:\w+\.)?(\w+) is not in the \w+::(\w+) registry')
_UNKNOWN_ARGUMENT = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")


@contextmanager
def suggest_names() -> Iterator[None]:
    """Names the nearest registered type, or argument, when one inside the context is unknown.

    Raises:
        KeyError: MMEngine's own about a type, with the suggestion added.
        TypeError: Python's own about an argument, with the suggestion added.
    """
    try:
        yield
    except KeyError as error:
        found = _UNKNOWN_TYPE.search(str(error))
        if found is None:
            raise
        known = [name for node in _registries(found[2]) for name in node.module_dict]
        hint = _did_you_mean(found[1], known) or 'check its spelling and custom_imports.'
        raise KeyError(f"type '{found[1]}' is not in the {found[2]} registry; {hint} ({error.args[0]})") from error
    except TypeError as error:
        found = _UNKNOWN_ARGUMENT.search(str(error))
        if found is None:
            raise
        classes = [node.module_dict[found[1]] for node in _registries() if found[1] in node.module_dict]
        known = sorted({name for entry in classes for name in _arguments(entry)})
        hint = _did_you_mean(found[2], known) or _what_it_takes(known)
        raise TypeError(f"{found[1]} in the config takes no '{found[2]}'; {hint}") from error


def _did_you_mean(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.6)
    return f"did you mean '{near[0]}'?" if near else ''


def _what_it_takes(known: list[str]) -> str:
    if not known:
        return 'check its spelling.'
    return f'it takes {", ".join(known)}. What a base config gave to another type goes with _delete_=True beside type.'


def _registries(kind: str | None = None) -> Iterator[Registry]:
    """Yields our registries, of one kind or all, and those above them."""
    for node in (getattr(registry, name) for name in registry.__all__):
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
