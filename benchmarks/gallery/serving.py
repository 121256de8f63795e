# Copyright (c) mmreid contributors. All rights reserved.
"""A server of a gallery in a process of its own, and clients that ask it all at once."""

import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def server(gallery: Path, model: str | Path, *options: str | Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """Starts ``tools/gallery.py serve``; gives its process and its address."""
    command = [sys.executable, ROOT / 'tools' / 'gallery.py', 'serve', gallery, '--model', model, '--port', '0']
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    process = subprocess.Popen(  # noqa: S603  a tool of this checkout
        [*map(str, [*command, '--device', 'cpu', *options])], env=env, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process, process.stdout.readline().split()[0].rstrip('/')
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class Clients:
    """Clients that search until they are told to stop, or the server is gone.

    Args:
        address (str): The server.
        image (bytes): What to search for.
        count (int): How many clients.
    """

    def __init__(self, address: str, image: bytes, count: int) -> None:
        self.host, self.image = address.removeprefix('http://'), image
        self.answers: list[tuple[int, float]] = []  # status and seconds of each request
        self.refused = 0  # requests that found no server
        self.lost: list[float] = []  # when those began that were sent and got no answer
        self.go_on = True
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Lets each client end its request."""
        self.go_on = False
        for thread in self.threads:
            thread.join(60)

    def _work(self) -> None:
        while self.go_on:
            connection = http.client.HTTPConnection(self.host, timeout=60)
            begin = time.monotonic()
            try:
                connection.connect()
            except OSError:
                self.refused += 1
                return
            try:
                connection.request('POST', '/search?topk=5', self.image)
                reply = connection.getresponse()
                reply.read()
                self.answers.append((reply.status, time.monotonic() - begin))
            except (OSError, http.client.HTTPException):
                self.lost.append(begin)
                return
            finally:
                connection.close()
