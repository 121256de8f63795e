# Copyright (c) mmreid contributors. All rights reserved.
"""Work that waits in a queue of limited length; what does not fit is refused at once."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar('Result')


class QueueFullError(RuntimeError):
    """As much work waits as may wait."""


class WorkQueue:
    """One thread that works, and so many places for work, done or waiting.

    Args:
        places (int): How many.
    """

    def __init__(self, places: int) -> None:
        if isinstance(places, bool) or not isinstance(places, int) or places < 1:
            raise ValueError(f'a queue of {places!r} places is not possible; use a whole number of at least 1')
        self.places, self.taken = places, 0
        self.pool = ThreadPoolExecutor(1, 'search')

    @contextmanager
    def place(self) -> Iterator[None]:
        """Takes a place for the block; raises QueueFullError if there is none. For the thread of the event loop."""
        if self.taken >= self.places:
            raise QueueFullError(f'{self.taken} searches wait already; try again in a second')
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def run(self, function: Callable[[], Result]) -> Result:
        """Runs a function in the thread, when its turn comes."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, function)
