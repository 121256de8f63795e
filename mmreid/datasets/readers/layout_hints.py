# Copyright (c) mmreid contributors. All rights reserved.
"""Finds the folder of a data set, or says what is there instead."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from .image_files import is_ghost

# A file or folder that identifies a layout.
_MARKERS = {
    'list_train.txt': 'MSMT17',
    'list_query.txt': 'MSMT17',
    'bounding_box_train': 'Market-1501 (or a data set laid out like it)',
    'bounding_box_test': 'Market-1501 (or a data set laid out like it)',
    'randperson_subset': 'RandPerson',
    'test/query': 'ClonedPerson',
    'exp/train_id.txt': 'SYSU-MM01',
    'idx/train_visible_1.txt': 'RegDB',
    'idx/train_vis.txt': 'LLCM',
}
_NAMES = {
    r'-?\d+_c\d+s\d+_-?\d+_': 'Market-1501',
    r'\d+_c\d+_f\d+\.': 'DukeMTMC-reID',
    r'\d{4}_\d{3}_\d\d_\d{4}[a-z]+_': 'MSMT17',
    r'\d+_s\d+_c\d+_f\d+': 'RandPerson and ClonedPerson',
    r'\d+_c\d+_\d+\.png': 'CUHK03-NP',
}


def find_root(data_root: str | Path, nested: Sequence[str], wanted: Sequence[str]) -> Path:
    """Looks in ``data_root`` and up to two ``nested`` folders for one of ``wanted``; ``data_root`` if none is found."""
    root = Path(data_root)
    folders = [root, *(root / name for name in nested), *(root / name / again for name in nested for again in nested)]
    return next((folder for folder in folders if any((folder / name).exists() for name in wanted)), root)


def hint_of_folder(root: str | Path) -> str:
    """Says what an existing folder holds, as further lines of a message that something is missing in it."""
    root = Path(root)
    if not root.is_dir():
        return ''
    for marker, data_set in _MARKERS.items():
        if (root / marker).exists():
            return f'\n{root} holds {marker}, as {data_set} does.'
    names = sorted(name for name in os.listdir(root) if not is_ghost(name))
    return f'\n{root} holds {", ".join(names[:6]) or "nothing"}{", ..." if len(names) > 6 else ""}.'


def hint_of_name(name: str) -> str:
    """Says which data set has such file names, as an addition to a message; empty if none is known."""
    data_set = next((data_set for pattern, data_set in _NAMES.items() if re.match(pattern, name)), None)
    return f' (files of {data_set} have such names)' if data_set else ''
