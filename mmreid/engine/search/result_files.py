# Copyright (c) mmreid contributors. All rights reserved.
"""The files in which a search leaves its architecture."""

from contextlib import suppress
from pathlib import Path

from mmreid.utils.arch_io import Architecture, config_fragment, save_arch, switch_line
from mmreid.utils.atomic_io import atomic_write


def write_result(folder: Path, arch: Architecture, title: str) -> None:
    """Writes ``arch.json``, ``arch_config.py``, ``arch.png`` and, for a plain ResNet, the official ``config.cfg``.

    Args:
        folder (Path): Where to.
        arch (Architecture): What was found.
        title (str): Title of the image.
    """
    from mmreid.visualization.arch_plot import draw_arch  # here, because matplotlib loads slowly

    save_arch(folder / 'arch.json', arch)
    atomic_write(folder / 'arch_config.py', config_fragment(arch.norms))
    with suppress(ValueError):  # other backbones have no official line
        atomic_write(folder / 'config.cfg', switch_line(arch.norms) + '\n')
    draw_arch(folder / 'arch.png', arch.norms, arch.split_probability, title=title)
