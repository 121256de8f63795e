# Copyright (c) mmreid contributors. All rights reserved.
"""A process beside this one that does one job after another, apart from this one's ranks, random numbers and logs."""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

# What tells a process that it is a rank of a distributed run.
RANK_VARIABLES = ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'LOCAL_WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')


class SideProcess:
    """Starts with the first job and ends with the ``with`` block, or when this process ends.

    Args:
        job (Callable): A function of a module, whose arguments and result can be pickled.
    """

    def __init__(self, job: Callable[..., Any]) -> None:
        self.job = job
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> 'SideProcess':
        return self

    def __exit__(self, *_: Any) -> None:
        if self._process is not None:
            self._pipe.close()  # ends the process after its current job
            self._process.join(timeout=1)
            self._process.kill()
            self._process = None

    def __call__(self, *args: Any) -> Any:
        """Does a job there.

        Args:
            *args (Any): Arguments of the job.

        Returns:
            Any: Its result.

        Raises:
            RuntimeError: If the process was ended from outside. An exception of the job itself is raised as it was.
        """
        if self._process is None:
            self._start()
        try:
            self._pipe.send(args)
            result, error = self._pipe.recv()
        except (EOFError, OSError) as broken:
            self._process.join(timeout=1)
            raise RuntimeError(
                f'the process of a short training ended with status {self._process.exitcode}; where this is -9, there '
                'was probably too little memory'
            ) from broken
        if error is not None:
            raise error
        return result

    def _start(self) -> None:
        context = multiprocessing.get_context('spawn')  # a forked one could not use the GPU
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self.job, theirs))
        self._process.start()
        theirs.close()


def _serve(job: Callable[..., Any], pipe: Connection) -> None:
    for name in RANK_VARIABLES:
        os.environ.pop(name, None)
    multiprocessing.set_start_method(None, force=True)  # a job may choose how its own processes start
    while True:
        try:
            args = pipe.recv()
            answer = (job(*args), None)
        except (EOFError, KeyboardInterrupt):  # the other process has ended, or both are stopped
            return
        except Exception as error:
            answer = (None, error)
        pipe.send(answer)
