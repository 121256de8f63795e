# Copyright (c) mmreid contributors. All rights reserved.
"""Ends a tool in order when its user, or the system, asks it to stop."""

import atexit
import gc
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 60.0  # seconds after which a process that was told to stop is ended the hard way

_received: signal.Signals | None = None


class Stopped(KeyboardInterrupt):
    """Raised in the main thread when SIGINT (Ctrl-C) or SIGTERM arrives; its message, if any, is for the user."""


def stop_signal() -> signal.Signals | None:
    """Returns the signal that asked this process to stop; None without one."""
    return _received


@contextmanager
def stop_in_order() -> Iterator[None]:
    """Turns the first SIGINT or SIGTERM into :class:`Stopped`; ignores later ones, because launchers repeat the signal.

    Forked children, such as dataloader workers, leave their end to this process. Does nothing outside of the main
    thread.
    """
    global _received
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def stop(number: int, _) -> None:
        global _received
        if os.getpid() != owner:
            _stop_child(number)
        elif _received is None:
            _received = signal.Signals(number)
            _give_up_later(128 + number)
            atexit.register(gc.freeze)  # or Python spends seconds looking for garbage in everything at exit
            raise Stopped

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        if _received is None:
            for number, handler in before.items():
                signal.signal(number, handler)


def _stop_child(number: int) -> None:
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _give_up_later(status: int) -> None:
    timer = threading.Timer(PATIENCE, os._exit, (status,))
    timer.daemon = True
    timer.start()
