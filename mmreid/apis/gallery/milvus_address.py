# Copyright (c) mmreid contributors. All rights reserved.
"""Addresses of galleries in Milvus, and connections to them."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmreid.utils.optional_package import require

_SERVER = re.compile(r'(?P<scheme>milvus|milvus\+tls)://(?P<host>[\w.-]+(?::\d+)?)/(?P<name>[A-Za-z_]\w{0,200})')
_LITE = re.compile(r'milvus-lite://(?P<path>.+\.db)')
#: Environment variable with ``user:password`` or a token.
CREDENTIALS = 'MILVUS_TOKEN'
SECONDS = 20.0


def is_address(path_or_url: str) -> bool:
    """Whether this names a server instead of a file."""
    return '://' in path_or_url


class ExplainedClient:
    """A connection whose errors say which gallery failed, and why.

    Args:
        client (pymilvus.MilvusClient): The connection.
        address (str): The gallery.
    """

    def __init__(self, client: Any, address: str) -> None:
        self.client, self.address = client, address

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)

        def call(*args: Any, **options: Any) -> Any:
            with explained(self.address):
                return method(*args, **options)

        return call


@contextmanager
def explained(address: str) -> Iterator[None]:
    """Turns errors of Milvus into an OSError that names the gallery."""
    from pymilvus import MilvusException

    try:
        yield
    except MilvusException as error:
        of_server = f'is it running, and is {CREDENTIALS} set?'
        advice = 'does another process use it?' if _LITE.fullmatch(address) else of_server
        raise OSError(f'{address} does not answer ({error.message:.200}); {advice}') from error


def connect(address: str, create: bool) -> tuple[ExplainedClient, str, bool]:
    """Connects to Milvus.

    Args:
        address (str): ``milvus://HOST:PORT/NAME``, ``milvus+tls://HOST:PORT/NAME`` or ``milvus-lite://FILE.db``.
        create (bool): Whether a file of Milvus Lite may be made.

    Returns:
        tuple[ExplainedClient, str, bool]: The connection, the name of the collection, and whether it is a file.

    Raises:
        FileNotFoundError: If the file is absent and may not be made.
        ImportError: If pymilvus is not installed.
        OSError: If the server does not answer.
        ValueError: If it is no such address.
    """
    server, lite = _SERVER.fullmatch(address), _LITE.fullmatch(address)
    if not server and not lite:
        raise ValueError(
            f'{address:.200} is not the address of a gallery; use milvus://HOST:PORT/NAME, '
            'milvus+tls://HOST:PORT/NAME or milvus-lite://FILE.db'
        )
    pymilvus = require('pymilvus', f'the gallery {address}', 'milvus')
    if lite:
        if not create and not os.path.exists(lite['path']):
            raise FileNotFoundError(f'there is no gallery {address}; make it with `tools/gallery.py create`')
        require('milvus_lite', f'the gallery {address}', 'milvus')
        with explained(address):
            return ExplainedClient(pymilvus.MilvusClient(lite['path']), address), 'gallery', True
    scheme = 'https' if server['scheme'].endswith('tls') else 'http'
    token = os.environ.get(CREDENTIALS, '')
    with explained(address):
        client = pymilvus.MilvusClient(f'{scheme}://{server["host"]}', token=token, timeout=SECONDS)
    return ExplainedClient(client, address), server['name'], False
