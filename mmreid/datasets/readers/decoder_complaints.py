# Copyright (c) mmreid contributors. All rights reserved.
"""Reads what image decoders write to stderr: for damaged files they return wrong pixels without raising an error."""

import os
import re
import tempfile

STDERR = 2
# libjpeg's warnings about data. libpng already raises an error for bad pixels.
_COMPLAINT = re.compile(
    rb'^(?:Corrupt JPEG data|Premature end of JPEG file|Inconsistent progression).*\n?', re.MULTILINE
)
_files: dict[int, int] = {}  # descriptors by process, as a forked process would write at its parent's position


class DecoderComplaints:
    """Collects the complaints of decoders inside a ``with``; everything else written to stderr is passed on at its end.

    It takes two microseconds. Complaints of several decoding threads cannot be told apart: enter it in one thread,
    around the work of all.

    Attributes:
        lines (list[str]): After the ``with``, such as ``['Corrupt JPEG data: premature end of data segment']``.
    """

    def __enter__(self) -> 'DecoderComplaints':
        self.lines: list[str] = []
        self._stderr = -1
        try:
            self._file = _files.get(os.getpid()) or _new_file()
            self._stderr = os.dup(STDERR)
            os.dup2(self._file, STDERR)
        except OSError:  # no stderr, as in some services, or no room for temporary files
            pass
        return self

    def __exit__(self, *_: object) -> None:
        if self._stderr < 0:
            return
        os.dup2(self._stderr, STDERR)
        os.close(self._stderr)
        if os.lseek(self._file, 0, os.SEEK_END):
            self._take()

    def _take(self) -> None:
        """Empties the file, and passes on what is not a complaint."""
        os.lseek(self._file, 0, os.SEEK_SET)
        text = b''.join(iter(lambda: os.read(self._file, 2**16), b''))
        os.lseek(self._file, 0, os.SEEK_SET)
        os.ftruncate(self._file, 0)
        self.lines = [line.decode(errors='replace').strip() for line in _COMPLAINT.findall(text)]
        rest = _COMPLAINT.sub(b'', text)
        if rest:
            os.write(STDERR, rest)


def _new_file() -> int:
    with tempfile.TemporaryFile() as file:
        return _files.setdefault(os.getpid(), os.dup(file.fileno()))
