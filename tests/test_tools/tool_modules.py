# Copyright (c) mmreid contributors. All rights reserved.
"""Imports tools, to call them in the process of a test."""

import importlib.util
from types import ModuleType

from tiny_config import ROOT


def load_tool(path: str) -> ModuleType:
    """Imports a tool as a module.

    Args:
        path (str): The file below ``tools``.

    Returns:
        ModuleType: The module; ``main(argv)`` runs it.
    """
    spec = importlib.util.spec_from_file_location(path.replace('/', '_').removesuffix('.py'), ROOT / 'tools' / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
