# Copyright (c) mmreid contributors. All rights reserved.
"""Checks at import that mmreid's dependencies are installed, in versions it was tested with."""

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import NamedTuple

from packaging.version import InvalidVersion, Version

__all__ = ['BOUNDS', 'Bound', 'check_dependencies', 'check_dependency', 'running_collect_env', 'running_command']


class Bound(NamedTuple):
    """The versions of one dependency that mmreid accepts.

    Attributes:
        module (str): Name of the module that is imported.
        minimum (str): Lowest version accepted.
        below (str): First version that is too new.
        install (str): The requirement to install with pip.
    """

    module: str
    minimum: str
    below: str
    install: str


# requirements/runtime.txt and requirements/mminstall.txt hold the same bounds; a test compares them. mmcv comes as the
# distribution `mmcv` or `mmcv-lite`, so it is found by import, never by the name of a distribution.
BOUNDS = (
    Bound('mmengine', '0.10.7', '0.11', 'mmengine>=0.10.7,<0.11'),
    Bound('mmcv', '2.0.1', '2.3', 'mmcv-lite>=2.0.1,<2.3'),
    Bound('mmpretrain', '1.2.0', '1.3', 'mmpretrain>=1.2.0,<1.3'),
)


def check_dependencies() -> None:
    """Checks every dependency in :data:`BOUNDS`; raises an ImportError with the command that repairs it."""
    for bound in BOUNDS:
        check_dependency(bound)


def check_dependency(bound: Bound) -> str:
    """Checks that one dependency can be imported and is within its bounds.

    Args:
        bound (Bound): The dependency and its versions.

    Returns:
        str: The version found.

    Raises:
        ImportError: The dependency is missing, broken, too old or too new.
    """
    found = _version_of(bound)
    try:
        fits = Version(bound.minimum) <= Version(found) < Version(bound.below)
    except InvalidVersion:
        fits = False
    if not fits:
        raise ImportError(
            f'mmreid needs {bound.module}>={bound.minimum},<{bound.below} but found {bound.module} {found}: '
            f'run `pip install "{bound.install}"`.'
        )
    return found


def running_collect_env() -> bool:
    """Whether ``python -m mmreid.utils.collect_env`` started this import, as one of its parent packages."""
    return sys.argv[:1] == ['-m'] and 'mmreid.utils.collect_env' in sys.orig_argv


def running_command() -> bool:
    """Whether ``mmreid`` or ``python -m mmreid`` started this import; it checks once it knows what to run."""
    if sys.argv[:1] == ['-m']:
        return 'mmreid' in sys.orig_argv
    return PurePath(sys.argv[0] if sys.argv else '').stem in ('mmreid', 'mmreid-script')


def _version_of(bound: Bound) -> str:
    """Returns the version of a dependency, or ``'of unknown version'``; does not import MMPretrain, which is heavy."""
    if bound.module == 'mmpretrain':
        try:
            return version(bound.module)
        except PackageNotFoundError:
            pass  # not installed by pip, perhaps on PYTHONPATH
    try:
        module = import_module(bound.module)
    except ImportError as error:
        if error.name == bound.module:
            raise ImportError(_missing(bound)) from None
        raise ImportError(
            f'mmreid needs {bound.module}, which is installed but fails to import ({error}): '
            f'run `python -m mmreid.utils.collect_env` to see which package is at fault.'
        ) from error
    # An uninstall may leave an empty folder, which imports as a package without a version.
    return getattr(module, '__version__', 'of unknown version')


def _missing(bound: Bound) -> str:
    """Returns the error message for a dependency that is not installed, with the command that installs it."""
    if bound.module == 'mmcv':
        return (
            'mmreid needs mmcv and found neither mmcv nor mmcv-lite: run `pip install mmcv-lite` '
            '(in a checkout also `pip install -e ".[lite]"`).'
        )
    return f'mmreid needs {bound.module} and did not find it: run `pip install "{bound.install}"`.'
