# Copyright (c) mmreid contributors. All rights reserved.
"""The folder of a report: its page, and the files of the page in a folder of their own."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from mmreid.utils.work_dir import ensure_writable

PAGE = 'index.html'
FILES = 'index_files'  # as browsers name what belongs to a saved page
_MARK = b'<meta name="generator" content="mmreid report">'


def open_report_folder(folder: str | os.PathLike) -> Path:
    """Makes the folder of a report, or takes that of an earlier one.

    Args:
        folder (str | os.PathLike): The folder; other files in it stay as they are.

    Returns:
        Path: The folder.

    Raises:
        OSError: If it cannot be written to, or has a page that is not a report.
    """
    folder = ensure_writable(folder)
    page = folder / PAGE
    if os.path.lexists(page) and not (page.is_file() and _MARK in page.read_bytes()[:4096]):
        raise FileExistsError(
            errno.EEXIST, 'this file is not a report, and a report would replace it: choose another folder', str(page)
        )
    (folder / FILES).mkdir(exist_ok=True)
    return folder


def remove_others(folder: Path, kept: Iterable[str]) -> None:
    """Removes the files that an earlier report has left, all but those named by their address from the page."""
    kept = {folder / address for address in kept}
    for path in (folder / FILES).iterdir():
        if path not in kept and path.suffix in ('.jpg', '.png'):
            path.unlink()
