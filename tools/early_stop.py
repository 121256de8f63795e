# Copyright (c) mmreid contributors. All rights reserved.
"""Ends a tool that is stopped while it still imports what it needs, before mmreid.utils.stopping can do so."""

import os
import signal


def end_at_once() -> None:
    """Lets SIGINT end the process with one line and status 130, where Python would print a traceback."""
    signal.signal(signal.SIGINT, _end)


def _end(*_: object) -> None:
    # tools/launch.py says it for its processes, the first rank for all others.
    if 'MMREID_REPORTS' not in os.environ and os.environ.get('RANK', '0') == '0':
        os.write(2, b'\nstopped\n')
    os._exit(128 + signal.SIGINT)
