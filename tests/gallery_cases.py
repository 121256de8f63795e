# Copyright (c) mmreid contributors. All rights reserved.
"""Features with known facts for tests of galleries, the slow definition of a search, and processes that write."""

import multiprocessing
import resource
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from mmreid.apis import Gallery, GalleryEntry, GalleryFilter

PROCESSES = multiprocessing.get_context('forkserver')
PROCESSES.set_forkserver_preload(['mmreid.apis'])


def some_features(count: int, dims: int = 8, seed: int = 0) -> np.ndarray:
    """Features of which some are equal, so that the order of equal scores shows."""
    features = np.random.default_rng(seed).normal(size=(count, dims)).astype(np.float32)
    features[1::7] = features[::7][: len(features[1::7])]
    return features


def some_facts(count: int) -> dict:
    """Facts of as many entries; some are unknown."""
    return dict(
        ids=[None if i % 5 == 4 else f'p{i % 6}' for i in range(count)],
        cameras=[None if i % 7 == 6 else f'c{i % 3}' for i in range(count)],
        times=[None if i % 11 == 10 else 100.0 + i for i in range(count)],
        modality=[(None, 'visible', 'infrared')[i % 3] for i in range(count)],
        extra=[dict(place=i) if i % 2 else None for i in range(count)],
    )


def passes(entry: GalleryEntry, chosen: GalleryFilter) -> bool:
    """The definition of a filter, in plain Python."""
    return (
        (chosen.keys is None or entry.key in chosen.keys)
        and (chosen.ids is None or entry.id in chosen.ids)
        and (chosen.cameras is None or entry.camera in chosen.cameras)
        and (chosen.not_cameras is None or entry.camera not in chosen.not_cameras)
        and (chosen.since is None or (entry.time is not None and entry.time >= chosen.since))
        and (chosen.until is None or (entry.time is not None and entry.time < chosen.until))
        and (chosen.modality is None or entry.modality == chosen.modality)
    )


def slow_search(entries, features, query, topk, chosen, camera=None, per_id=None) -> list[tuple[float, int, int]]:
    """The definition of a search: score, key and count of each answer, best first, by the cosine."""
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    scores = features.astype(np.float64) @ (query / np.linalg.norm(query))
    groups: dict = {}
    for score, entry in zip(scores.tolist(), entries, strict=True):
        own = entry.key if per_id is None or entry.id is None else entry.id
        members = groups.setdefault(own, [])
        if passes(entry, chosen) and (camera is None or entry.camera != camera):
            members.append((score, entry.key))
    answers = []
    for members in filter(None, groups.values()):
        best = max(members, key=lambda member: (round(member[0], 6), -member[1]))
        score = np.mean([value for value, _ in members]) if per_id == 'mean' else best[0]
        answers.append((float(score), best[1], len(members)))
    return sorted(answers, key=lambda answer: -round(answer[0], 6))[:topk]


def add_until_killed(path: Path, pipe: Connection) -> None:
    """Adds features one call after the other, and says after each call which keys are stored."""
    gallery = Gallery.open(path)
    for number in range(10_000):
        pipe.send(gallery.add(features=some_features(3, seed=number), ids=[number] * 3))


def add_once(path: Path | str, pipe: Connection) -> None:
    """Adds a feature, and sends the keys."""
    with Gallery.open(path) as gallery:
        pipe.send(gallery.add(features=some_features(1)))


def count_and_search(path: Path | str, pipe: Connection) -> None:
    """Sends how many entries there are, and how many a search finds."""
    with Gallery.open(path, create=False) as gallery:
        pipe.send((len(gallery), len(gallery.search(some_features(1))[0])))


def add_to_a_full_disk(path: Path, pipe: Connection) -> None:
    """Adds features until no file may grow any more, as on a full disk; sends the keys, then the error."""
    gallery = Gallery.open(path)
    gallery.add(features=some_features(3))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))
    try:
        for number in range(10_000):
            pipe.send(gallery.add(features=some_features(100, seed=number)))
    except OSError as error:
        pipe.send((type(error).__name__, error.errno, str(error)))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def hold_the_lock(path: Path, pipe: Connection) -> None:
    """Begins to write, and ends when it is told to."""
    gallery = Gallery.open(path)
    gallery.store.connection.execute('BEGIN IMMEDIATE')
    pipe.send('holding')
    pipe.recv()
    gallery.store.connection.execute('ROLLBACK')


def add_images(path: Path, pipe: Connection, model: Path, images: Path) -> None:
    """Adds the images of a folder, three at a time."""
    Gallery.open(path, model, device='cpu', batch_size=3).add(images)


def start(function, path: Path | str, *more: Path):
    """Starts one of these functions in a process; returns it and the pipe that it talks through."""
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=function, args=(path, there, *more))
    process.start()
    there.close()
    return process, here
