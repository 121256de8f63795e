# Copyright (c) mmreid contributors. All rights reserved.
"""Shows users of the tools one sentence instead of a traceback."""

import errno
import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmreid.utils.stopping import Stopped, stop_in_order, stop_signal

PACKAGE = str(Path(__file__).parents[1])
SWITCH = 'MMREID_TRACEBACK'
REPORTS = 'MMREID_REPORTS'  # set by tools/launch.py, which shows the report of one of its ranks
# Characters with which a file name or a label could control the terminal; line breaks belong to messages.
_CONTROL = re.compile(r'[\x00-\x09\x0b-\x1f\x7f-\x9f]')
NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, 'EDQUOT', errno.ENOSPC)}  # EDQUOT is absent on Windows


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the process with ``error: <sentence>`` when mmreid refuses something, and in order when stopped.

    Errors from elsewhere, which may be bugs, keep their traceback, except for a full disk or memory; with the
    environment variable ``MMREID_TRACEBACK=1`` all do. A rank of ``tools/launch.py`` reports to it instead of stderr.

    Raises:
        SystemExit: With status 1 after the sentence; with 130 after Ctrl-C, with 143 after SIGTERM.
    """
    with stop_in_order():
        try:
            yield
        except (Exception, KeyboardInterrupt) as error:
            # After a stop signal, any other failure is a consequence, such as workers or ranks that are gone.
            if isinstance(error, KeyboardInterrupt) or stop_signal():
                _tell('stopped', (str(error) if isinstance(error, Stopped) else '') or 'stopped')
                sys.exit(128 + (stop_signal() or signal.SIGINT))
            if os.environ.get(SWITCH) or not (_is_ours(error) or _is_no_room(error) or isinstance(error, MemoryError)):
                if not _report_file():
                    raise
                _tell('error', f'rank {os.environ.get("RANK")}: {traceback.format_exc()}')
                sys.exit(1)
            _tell('error', f'error: {sentence_of(error)}\n({SWITCH}=1 shows where it came from)')
            sys.exit(1)
        except SystemExit as error:
            if error.code and _report_file():
                _tell('said', '')  # argparse has printed what is wrong with the command line
            raise


def _tell(kind: str, text: str) -> None:
    """Writes why the process ends to stderr, or to the file that the launcher reads."""
    if kind == 'stopped' and os.environ.get('RANK', '0') != '0':
        return  # the first rank says it for all
    if _report_file():
        report = dict(message=text, timestamp=time.time(), kind=kind)
        Path(_report_file()).write_text(json.dumps(report), encoding='utf-8')
    else:
        print(f'\n{text}', file=sys.stderr, flush=True)


def _report_file() -> str:
    return os.environ.get('TORCHELASTIC_ERROR_FILE', '') if os.environ.get(REPORTS) else ''


def sentence_of(error: Exception) -> str:
    """Returns the message of an error, or of the worker that passed it on, without what Python and torch add."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, OSError) and error.filename is not None:
        text = f'{error.filename}: {error.strerror}'
    elif isinstance(error, OSError) and error.strerror:
        text = error.strerror
    if _is_no_room(error) and 'make room' not in text:
        text += '; make room, then run this again, a training with --resume'
    if isinstance(error, MemoryError):
        cause = f' ({text})' if text else ''
        text = (
            f'there is not enough memory for this{cause}; free some, or use smaller batches or files, or fewer workers'
        )
    if 'Original Traceback' in text:
        text = text.strip().splitlines()[-1].partition(': ')[2]
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def _is_no_room(error: Exception) -> bool:
    return type(error) is OSError and error.errno in NO_ROOM


def _is_ours(error: Exception) -> bool:
    """Whether mmreid raised the error: its class, or the place, is ours (a tool's own file included)."""
    if type(error).__module__.startswith('mmreid.'):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and (frames[-1].filename.startswith(PACKAGE) or frames[-1].filename.endswith(sys.argv[0]))
