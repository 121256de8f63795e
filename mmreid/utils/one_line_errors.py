# Copyright (c) mmreid contributors. All rights reserved.
"""Shows users of the tools a sentence where a traceback would hide it."""

import errno
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = str(Path(__file__).parents[1])
SWITCH = 'MMREID_TRACEBACK'
# What a file name or a label could steer the terminal with; messages have line breaks of their own.
_CONTROL = re.compile(r'[\x00-\x09\x0b-\x1f\x7f-\x9f]')
NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, 'EDQUOT', errno.ENOSPC)}  # Windows knows no EDQUOT


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the process with ``error: <sentence>`` when mmreid itself refuses something.

    Errors that come from elsewhere, which may be bugs, keep their traceback, but for a full disk; so does everything
    with the environment variable ``MMREID_TRACEBACK=1``.

    Raises:
        SystemExit: With status 1, after the sentence went to stderr.
    """
    try:
        yield
    except Exception as error:
        if os.environ.get(SWITCH) or not (_is_ours(error) or _is_no_room(error)):
            raise
        print(f'\nerror: {sentence_of(error)}\n({SWITCH}=1 shows where it came from)', file=sys.stderr, flush=True)
        sys.exit(1)


def sentence_of(error: Exception) -> str:
    """Gives the message of an error without what Python and torch put around it.

    Args:
        error (Exception): The error.

    Returns:
        str: Its message; of one that a worker passed on, the message there.
    """
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, OSError) and error.filename is not None:
        text = f'{error.filename}: {error.strerror}'
    elif isinstance(error, OSError) and error.strerror:
        text = error.strerror
    if _is_no_room(error) and 'make room' not in text:
        text += '; make room, then run this again, a training with --resume'
    if 'Original Traceback' in text:
        text = text.strip().splitlines()[-1].partition(': ')[2]
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def _is_no_room(error: Exception) -> bool:
    return type(error) is OSError and error.errno in NO_ROOM


def _is_ours(error: Exception) -> bool:
    """Tells whether mmreid raised the error: its class, or the place, is ours (a tool's own file included)."""
    if type(error).__module__.startswith('mmreid.'):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and (frames[-1].filename.startswith(PACKAGE) or frames[-1].filename.endswith(sys.argv[0]))
