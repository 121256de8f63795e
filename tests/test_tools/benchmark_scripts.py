# Copyright (c) mmreid contributors. All rights reserved.
"""Lets a test import the scripts of a benchmark."""

import sys
from collections.abc import Callable, Iterator

import pytest
from tiny_config import ROOT


def scripts_of(name: str) -> Callable:
    """Makes the fixture that puts a folder of ``benchmarks`` on the path while the tests of a file run.

    Args:
        name (str): The folder.

    Returns:
        Callable: The fixture; a file assigns it to a name of its own.
    """

    @pytest.fixture(scope='module', autouse=True)
    def scripts() -> Iterator[None]:
        folders = [str(ROOT / 'benchmarks'), str(ROOT / 'benchmarks' / name)]
        sys.path[:0] = folders
        yield
        for folder in folders:
            sys.path.remove(folder)

    return scripts
