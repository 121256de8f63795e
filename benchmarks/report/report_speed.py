# Copyright (c) mmreid contributors. All rights reserved.
"""Time and memory of a report of a large gallery, with its images on the disk.

Makes small images and features (once, in ``--folder``), then runs ``tools/analysis_tools/report.py`` in a process of
its own: with copied images, and with links to them.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from mmreid.datasets.synthetic import World
from mmreid.engine.features.saved_features import FORMAT

TOOL = Path(__file__).resolve().parents[2] / 'tools/analysis_tools/report.py'
CAMERAS = 6
DRAWN = 600  # images that are drawn; each file is one of them with other brightness and noise
NOISE = 1.1  # of a feature, beside its person's of length 1


def write_images(paths: Sequence[Path]) -> None:
    """Writes a small image to each path, all of which differ."""
    world = World(seed=0, domain='daylight', cameras=CAMERAS, size=(64, 32))
    drawn = [world.render(1 + number // CAMERAS, number % CAMERAS, 0)[..., ::-1] for number in range(DRAWN)]
    rng = np.random.default_rng(0)
    for number, path in enumerate(paths):
        noise = rng.integers(-6, 7, drawn[0].shape)
        pixels = (drawn[number % DRAWN] * rng.uniform(0.8, 1.1) + noise).clip(0, 255).astype(np.uint8)
        path.write_bytes(cv2.imencode('.jpg', pixels)[1].tobytes())


def write_features(folder: Path, num_query: int, num_gallery: int, dims: int) -> Path:
    """Writes features of people, a quarter as many as queries, and an image of each; returns the features file."""
    file = folder / f'{num_query}-{num_gallery}-{dims}.pth'
    if file.exists():
        return file
    generator = torch.Generator().manual_seed(0)
    centers = torch.nn.functional.normalize(torch.randn(num_query // 4, dims, generator=generator), dim=1)
    sides = []
    for name, count in (('query', num_query), ('gallery', num_gallery)):
        pid = torch.randint(len(centers), (count,), generator=generator)
        feature = centers[pid] + NOISE * torch.randn(count, dims, generator=generator) / dims**0.5
        paths = [folder / f'{name}-{count}' / f'{number // 1000:03d}' / f'{number:06d}.jpg' for number in range(count)]
        for parent in {path.parent for path in paths}:
            parent.mkdir(parents=True, exist_ok=True)
        write_images(paths)
        camid = torch.randint(CAMERAS, (count,), generator=generator)
        labels = dict(pid=pid, camid=camid, img_path=[str(path.absolute()) for path in paths])
        sides.append(dict(feature=feature, sample_idx=list(range(count)), **labels))
    test_set = dict(meta=dict(dataset_name='large'), query=sides[0], gallery=sides[1])
    matcher = dict(config=dict(type='CosineMatcher'), state={})
    content = dict(format=FORMAT, matcher=matcher, test_sets=[test_set], model=dict(name='drawn', hash='0' * 16))
    torch.save(content, file)
    return file


def measure(words: Sequence[str]) -> tuple[float, float, float]:
    """Runs the tool; returns seconds, processor seconds, and the most memory in GB."""
    start = time.perf_counter()
    child = os.posix_spawn(sys.executable, [sys.executable, str(TOOL), *words], os.environ)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise RuntimeError(f'{" ".join(words)} ended with status {os.waitstatus_to_exitcode(status)}')
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


def main() -> None:
    """Prints a row for copied and for linked images."""
    parser = argparse.ArgumentParser(description='Measure the report of a large gallery')
    parser.add_argument('--folder', type=Path, default=Path('data/report-speed'), help='for images and features')
    parser.add_argument('--queries', type=int, default=3000)
    parser.add_argument('--gallery', type=int, nargs='+', default=[100_000])
    parser.add_argument('--dims', type=int, default=512)
    args = parser.parse_args()
    print(f'| queries | gallery | images | s | processor s | GB | copies | MB of the folder |\n{"| --- " * 8}|')
    for size in args.gallery:
        features = write_features(args.folder, args.queries, size, args.dims)
        for kind, words in dict(copied=[], linked=['--link-images']).items():
            out = args.folder / f'report-{size}-{kind}'
            wall, processor, memory = measure([str(features), '--out', str(out), *words])
            files = [path for path in out.rglob('*') if path.is_file()]
            megabytes = sum(path.stat().st_size for path in files) / 1e6
            print(
                f'| {args.queries:,} | {size:,} | {kind} | {wall:.0f} | {processor:.0f} | {memory:.2f} | '
                f'{sum(path.suffix == ".jpg" for path in files):,} | {megabytes:.1f} |',
                flush=True,
            )


if __name__ == '__main__':
    main()
