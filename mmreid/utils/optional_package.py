# Copyright (c) mmreid contributors. All rights reserved.
"""Imports packages that only some uses need."""

import importlib
from types import ModuleType


def require(module: str, purpose: str, extra: str) -> ModuleType:
    """Imports an optional package, or says how to install it.

    Args:
        module (str): The module, such as ``'onnx'``.
        purpose (str): What needs it, the beginning of the message.
        extra (str): The extra of mmreid that brings it.

    Returns:
        ModuleType: The module.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition('.')[0]
        raise ImportError(f'{purpose} needs {name}, which is not installed; pip install "mmreid[{extra}]"') from error
