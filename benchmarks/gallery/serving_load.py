# Copyright (c) mmreid contributors. All rights reserved.
"""Load on the server of a gallery: requests per second and latency with more and more clients, and its end.

Each client sends an image, waits for the answers, and sends the next. The server gets one thread. A gallery of random
features stands for a real one; the model is the built-in one.
"""

import argparse
import json
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from serving import Clients, server
from terminaltables import AsciiTable

from mmreid.apis import Gallery, ModelInfo, ReIDInferencer
from mmreid.datasets.synthetic import World
from mmreid.utils.setup_env import register_all_modules

MODEL = 'mmreid::bot_mobilenet-v2-short_1xb64-2e_procedural-128x64'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--entries', type=int, default=10_000, help='10,000 by default')
    parser.add_argument('--clients', type=int, nargs='+', default=[1, 4, 16, 32], help='numbers of clients')
    parser.add_argument('--seconds', type=float, default=15, help='of each number of clients, 15 by default')
    parser.add_argument('--out', type=Path, help='JSON file to write')
    return parser.parse_args(argv)


def measure(address: str, image: bytes, count: int, seconds: float) -> dict:
    """Lets clients search for some seconds."""
    begin = time.monotonic()
    clients = Clients(address, image, count)
    time.sleep(seconds)
    clients.stop()
    took = time.monotonic() - begin
    times = [1000 * duration for status, duration in clients.answers if status == 200]
    return dict(
        clients=count,
        answered_per_s=len(times) / took,
        p50_ms=float(np.percentile(times, 50)),
        p99_ms=float(np.percentile(times, 99)),
        refused=sum(status == 429 for status, _ in clients.answers),
        lost=len(clients.lost),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, prints, and writes."""
    args = parse_args(argv)
    register_all_modules()
    inferencer = ReIDInferencer(MODEL, device='cpu')
    image = World(seed=0, cameras=2).render(1, 0, 0)
    content = cv2.imencode('.png', image[..., ::-1])[1].tobytes()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / 'a.gallery'
        features = np.random.default_rng(0).normal(size=(args.entries, 128))
        with Gallery.open(place, ModelInfo.of(inferencer)) as gallery:
            gallery.add(features=features, ids=np.arange(args.entries) // 20)
        with server(place, MODEL) as (process, address):
            measure(address, content, 1, 2)
            results = [measure(address, content, count, args.seconds) for count in args.clients]
            clients = Clients(address, content, 8)
            time.sleep(2)
            stopped = time.monotonic()
            process.send_signal(signal.SIGTERM)
            status = process.wait(60)
            clients.stop()
            lost = sum(begin < stopped - 0.1 for begin in clients.lost)
    heads = ['clients', 'answers/s', 'p50, ms', 'p99, ms', 'refused (429)', 'lost']
    rows = [[f'{value:.1f}' if isinstance(value, float) else str(value) for value in row.values()] for row in results]
    print(AsciiTable([heads, *rows], f'{args.entries} entries').table)
    print(f'SIGTERM under 8 clients: status {status}, {lost} requests lost that had reached the server')
    if args.out:
        args.out.write_text(json.dumps(dict(rows=results, sigterm=dict(status=status, lost=lost)), indent=1))


if __name__ == '__main__':
    main()
