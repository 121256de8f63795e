# Copyright (c) mmreid contributors. All rights reserved.
"""Kills processes that write to a gallery at random moments: what was acknowledged must be found."""

import multiprocessing
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from mmreid.apis import Gallery

DIMS = 512


def features_of(numbers: np.ndarray) -> np.ndarray:
    """The feature that belongs to each number, (N, D)."""
    return np.stack([np.random.default_rng(int(number)).normal(size=DIMS) for number in numbers]).astype(np.float32)


def write(place: Path, pipe: Connection, first: int) -> None:
    """Adds features, deletes some, and searches between; tells what was acknowledged."""
    with Gallery.open(place) as gallery:
        pipe.send(('ready', []))
        for turn in range(10**9):
            numbers = first + 20 * turn + np.arange(20)
            gallery.add(features=features_of(numbers), ids=numbers)
            pipe.send(('added', numbers.tolist()))
            if turn % 3 == 2:
                gallery.delete(ids=numbers[:5].tolist())
                pipe.send(('deleted', numbers[:5].tolist()))
            if turn % 5 == 4:
                gallery.search(features_of(numbers[:1]))


def kill_writers(place: Path, count: int, seed: int) -> dict[str, int]:
    """Kills writers one after the other, and compares the gallery with what they said after each.

    Args:
        place (Path): The gallery.
        count (int): How many writers.
        seed (int): Of the moments.

    Returns:
        dict[str, int]: Kills, acknowledged additions and deletions, and how many of them were lost: 0.

    Raises:
        AssertionError: If an acknowledged addition or deletion was lost, or the gallery has a fault.
    """
    context, rng = multiprocessing.get_context('forkserver'), np.random.default_rng(seed)
    context.set_forkserver_preload(['mmreid.apis'])
    added: set[str] = set()
    deleted: set[str] = set()
    for turn in range(count):
        here, there = context.Pipe()
        writer = context.Process(target=write, args=(place, there, turn * 10**6))
        writer.start()
        there.close()
        assert here.recv()[0] == 'ready'
        time.sleep(rng.uniform(0, 2))
        writer.kill()
        writer.join()
        try:
            while True:
                what, numbers = here.recv()
                (added if what == 'added' else deleted).update(map(str, numbers))
        except EOFError:
            here.close()
        with Gallery.open(place) as gallery:
            assert gallery.check() == []
            found = {entry.id for entry in gallery}
            missing = added - deleted - found
            assert missing <= _last(added, turn), 'an acknowledged entry is lost'
            assert not found & deleted, 'a deleted entry is back'
            unheard = {number for number in found - added if int(number) // 10**6 == turn}
            assert found - added == unheard, 'an entry appeared from nowhere'
            added |= unheard
            deleted |= missing
            sample = rng.permutation(sorted(found, key=int))[:20]
            if len(sample):
                rows = gallery.search(features_of(np.array([int(number) for number in sample])), 1)
                assert [row[0].entry.id for row in rows] == sample.tolist(), 'an entry is not found by its feature'
    return dict(kills=count, added=len(added), deleted=len(deleted), lost=0)


def _last(added: set[str], turn: int) -> set[str]:
    """The first five of the last twenty that a writer added: their deletion may have been done unheard."""
    mine = sorted((int(number) for number in added if int(number) // 10**6 == turn), reverse=True)
    return {str(number) for number in mine[15:20]}
