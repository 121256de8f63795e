# Copyright (c) mmreid contributors. All rights reserved.
"""Reports the progress of a long loop, and when it will end."""

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TypeVar

from mmengine.dist import is_main_process
from mmengine.logging import print_log
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar('Item')
PATIENCE = 5.0  # seconds before the first report
LOG_EVERY = 60.0  # seconds between two log lines


def track(items: Sequence[Item], what: str, console: Console | None = None) -> Iterator[Item]:
    """Iterates over items; shows a bar with the remaining time on a terminal, else logs a line every minute.

    Work that ends within five seconds is silent, and so are all ranks but the first.

    Args:
        items (Sequence): What to iterate over; all items take about as long.
        what (str): What is done, such as ``'matching'``.
        console (rich.console.Console, optional): Where to draw. Defaults to None, the terminal.

    Yields:
        Item: One item after the other.
    """
    console = console or Console()
    start = time.monotonic()
    said = start + PATIENCE - LOG_EVERY
    bar: Progress | None = None
    try:
        for done, item in enumerate(items):
            now = time.monotonic()
            if done and is_main_process() and now - start >= PATIENCE:
                if console.is_terminal:
                    bar = bar or _start_bar(what, len(items), console)
                    bar.update(bar.task_ids[0], completed=done, refresh=True)
                elif now - said >= LOG_EVERY:
                    left = timedelta(seconds=round((now - start) / done * (len(items) - done)))
                    print_log(f'{what} | {done} of {len(items)} parts done, {left} left', 'current')
                    said = now
            yield item
    finally:
        if bar is not None:
            bar.stop()


def _start_bar(what: str, total: int, console: Console) -> Progress:
    columns = TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    # No refreshing thread and no redirected streams: a worker could be forked while one holds its lock.
    bar = Progress(
        *columns, console=console, transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
    )
    bar.start()
    bar.add_task(what, total=total)
    return bar
