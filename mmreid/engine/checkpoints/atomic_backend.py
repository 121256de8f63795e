# Copyright (c) mmreid contributors. All rights reserved.
"""MMEngine's storage of checkpoints on the local disk, where a file is either complete or absent."""

import os.path as osp
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.utils import mkdir_or_exist

from mmreid.utils.atomic_io import atomic_write

ATOMIC_BACKEND = 'mmreid_atomic'


@register_backend(ATOMIC_BACKEND, force=True)
class AtomicLocalBackend(LocalBackend):
    """The local disk, where a file appears under its name only when it is complete."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes bytes to a file atomically; makes its folder."""
        mkdir_or_exist(osp.dirname(filepath))
        atomic_write(filepath, obj)
