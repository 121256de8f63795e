# Copyright (c) mmreid contributors. All rights reserved.
"""Receives an image into memory, never to a file: of limited size, in limited time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class UploadError(ValueError):
    """What came is too large or too slow.

    Args:
        status (int): HTTP status.
        message (str): What to tell.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def receive(stream: AsyncIterator[bytes], announced: str | None, max_bytes: int, seconds: float) -> bytes:
    """Receives the body of a request.

    Args:
        stream (AsyncIterator[bytes]): Its parts.
        announced (str | None): What its header Content-Length says.
        max_bytes (int): Most bytes.
        seconds (float): Most seconds.

    Returns:
        bytes: The body.

    Raises:
        UploadError: If it is larger, or takes longer.
    """
    too_large = UploadError(413, f'the image has more than {max_bytes:,} bytes; send a smaller one')
    if announced is not None and announced.isdecimal() and int(announced) > max_bytes:
        raise too_large

    async def collect() -> bytes:
        content = bytearray()
        async for part in stream:
            content += part
            if len(content) > max_bytes:
                raise too_large
        return bytes(content)

    try:
        return await asyncio.wait_for(collect(), seconds)
    except (TimeoutError, asyncio.TimeoutError) as error:  # two classes before Python 3.11
        raise UploadError(408, f'the image did not arrive within {seconds:g} seconds; send it again') from error


async def discard(stream: AsyncIterator[bytes], max_bytes: int, seconds: float) -> None:
    """Reads what is left of a body and forgets it, because a client that still sends does not hear the answer."""

    async def read() -> None:
        left = max_bytes
        async for part in stream:
            left -= len(part)
            if left < 0:
                return

    with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
        await asyncio.wait_for(read(), seconds)
