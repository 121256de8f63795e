# Copyright (c) mmreid contributors. All rights reserved.
"""Runs the web application until it is told to stop; searches that have begun are answered first."""

import socket
from typing import Any

from mmreid.utils.optional_package import require

from .app import Limits

PATIENCE = 30  # seconds that searches have to end


def run_server(app: Any, host: str, port: int, limits: Limits) -> None:
    """Serves until SIGINT or SIGTERM.

    Args:
        app (fastapi.FastAPI): What :func:`create_app` made.
        host (str): Address to listen on.
        port (int): Port; 0 for any that is free.
        limits (Limits): What it accepts.

    Raises:
        ImportError: If uvicorn is not installed.
        OSError: If the port is taken.
    """
    uvicorn = require('uvicorn', 'a server of a gallery', 'serve')
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen(128)  # before the address is told, so that whoever reads it can connect
        except OSError as error:
            raise OSError(
                error.errno, f'{error.strerror}; choose another --port or --host', f'{host}:{port}'
            ) from error
        shown = f'[{host}]' if ':' in host else host
        print(f'http://{shown}:{listening.getsockname()[1]}/ (Ctrl-C ends it)', flush=True)
        config = uvicorn.Config(
            app,
            log_level='warning',
            access_log=False,  # it would keep who was searched, and when
            timeout_graceful_shutdown=PATIENCE,
            limit_concurrency=limits.queue + 64,
            server_header=False,
        )
        uvicorn.Server(config).run(sockets=[listening])
