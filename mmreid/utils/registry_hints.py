# Copyright (c) mmreid contributors. All rights reserved.
"""Adds 'did you mean' to MMEngine's message about a misspelt ``type``."""

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.registry import Registry

from mmreid import registry

_UNKNOWN = re.compile(r'(?:\w+\.)?(\w+) is not in the \w+::(\w+) registry')


@contextmanager
def suggest_types() -> Iterator[None]:
    """Names the nearest registered type when one inside the context is unknown.

    Raises:
        KeyError: MMEngine's own, with the suggestion added.
    """
    try:
        yield
    except KeyError as error:
        found = _UNKNOWN.search(str(error))
        if found is None:
            raise
        near = difflib.get_close_matches(found[1], _names(found[2]), 1, 0.6)
        hint = f"did you mean '{near[0]}'?" if near else 'check its spelling and custom_imports.'
        raise KeyError(f"type '{found[1]}' is not in the {found[2]} registry; {hint} ({error.args[0]})") from error


def _names(kind: str) -> list[str]:
    """Lists all names of our registry of a kind and of those above it."""
    names = []
    for ours in (getattr(registry, name) for name in registry.__all__):
        node: Registry | None = ours if ours.name == kind else None
        while node is not None:
            names += list(node.module_dict)
            node = node.parent
    return names
