# Copyright (c) mmreid contributors. All rights reserved.
"""Addresses of galleries in Milvus, and connections to them."""

import os
import re
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


def connect(address: str, create: bool) -> tuple[Any, str, bool]:
    """Connects to Milvus.

    Args:
        address (str): ``milvus://HOST:PORT/NAME``, ``milvus+tls://HOST:PORT/NAME`` or ``milvus-lite://FILE.db``.
        create (bool): Whether a file of Milvus Lite may be made.

    Returns:
        tuple[pymilvus.MilvusClient, str, bool]: The connection, the name of the collection, and whether it is a file.

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
        return pymilvus.MilvusClient(lite['path']), 'gallery', True
    scheme = 'https' if server['scheme'].endswith('tls') else 'http'
    token = os.environ.get(CREDENTIALS, '')
    try:
        client = pymilvus.MilvusClient(f'{scheme}://{server["host"]}', token=token, timeout=SECONDS)
    except pymilvus.MilvusException as error:
        raise OSError(
            f'{address} does not answer ({error.message:.200}); is the server running, and {CREDENTIALS} set?'
        ) from error
    return client, server['name'], False
