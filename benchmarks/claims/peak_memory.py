# Copyright (c) mmreid contributors. All rights reserved.
"""The highest resident size of a process meanwhile."""

from pathlib import Path


class PeakMemory:
    """Measures the highest resident size of this process, as a context. The kernel keeps it, so no moment is missed."""

    def __enter__(self) -> 'PeakMemory':
        Path('/proc/self/clear_refs').write_text('5', encoding='ascii')  # forgets earlier peaks
        self.start = _resident('VmRSS')
        return self

    def __exit__(self, *_: object) -> None:
        self.peak = _resident('VmHWM')

    @property
    def megabytes(self) -> float:
        """float: Peak above the start."""
        return (self.peak - self.start) / 2**10


def _resident(field: str) -> int:
    lines = Path('/proc/self/status').read_text(encoding='ascii').splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f'{field}:'))
