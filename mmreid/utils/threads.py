# Copyright (c) mmreid contributors. All rights reserved.
"""Work divided over threads that wait for each other once, at the end.

torch divides every operation over its threads and waits for the slowest. Where other programs use the same cores, that
is a long wait after each operation. Here, each thread does whole pieces of the work on its own.
"""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import torch

Piece = TypeVar('Piece')

_lock = threading.Lock()


def share(work: Callable[[Iterable[Piece]], None], pieces: Sequence[Piece]) -> None:
    """Divides pieces of work over as many threads as torch uses.

    Args:
        work (Callable[[Iterable], None]): Does the pieces it is given, one after the other; called once in each thread.
            It must release Python's lock to gain anything, as torch, NumPy and compiled loops do. It runs without
            gradients, and torch computes each of its operations in one thread.
        pieces (Sequence): The pieces. Each goes to the first thread that is free.
    """
    threads = min(torch.get_num_threads(), len(pieces))
    left = iter(list(pieces))  # threads may take from it at once
    if threads < 2:
        work(left)
        return
    jobs = [_pool(torch.get_num_threads()).submit(_run, work, left) for _ in range(threads)]
    wait(jobs)  # also where one fails, as the others use the same memory
    for job in jobs:
        job.result()


@torch.inference_mode()
def _run(work: Callable[[Iterable[Piece]], None], left: Iterable[Piece]) -> None:
    work(left)


def _pool(threads: int) -> ThreadPoolExecutor:
    with _lock:
        return _started_pool(threads)


@cache
def _started_pool(threads: int) -> ThreadPoolExecutor:
    """Starts threads in which torch computes alone."""
    pool, started = ThreadPoolExecutor(threads, 'mmreid'), threading.Barrier(threads)

    def compute_alone() -> None:
        started.wait()  # or one thread would do this twice
        torch.get_num_threads()  # the first call in a thread sets the number of the process
        torch.set_num_threads(1)

    before = torch.get_num_threads()
    wait([pool.submit(compute_alone) for _ in range(threads)])
    torch.set_num_threads(before)  # torch keeps one number for threads to come, and one for each that is there
    return pool


def _forget_pools() -> None:
    global _lock
    _lock = threading.Lock()
    _started_pool.cache_clear()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_forget_pools)  # a forked process has none of these threads
