# Copyright (c) mmreid contributors. All rights reserved.
"""Ends a tool that is interrupted while it is still importing, before mmreid.utils.stopping can do so."""

import os
import signal


def end_at_once() -> None:
    """Makes SIGINT end the process with one line and status 130 instead of a traceback."""
    signal.signal(signal.SIGINT, _end)


def _end(*_: object) -> None:
    # tools/launch.py prints it for its processes, the first process rank for all others.
    if 'MMREID_REPORTS' not in os.environ and os.environ.get('RANK', '0') == '0':
        os.write(2, b'\nstopped\n')
    os._exit(128 + signal.SIGINT)
