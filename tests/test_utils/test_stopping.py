# Copyright (c) mmreid contributors. All rights reserved.
"""Ctrl-C and SIGTERM end a tool in order."""

import multiprocessing
import os
import signal
import time

import pytest

from mmreid.utils import stopping
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.stopping import Stopped, stop_in_order, stop_signal


@pytest.fixture(autouse=True)
def as_a_new_process(monkeypatch):
    monkeypatch.setattr(stopping, '_received', None)
    monkeypatch.setattr(stopping, '_give_up_later', lambda status: None)
    monkeypatch.setattr(stopping.atexit, 'register', lambda function: None)
    monkeypatch.delenv('RANK', raising=False)
    before = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_line_and_the_usual_status(number, status, capsys):
    with pytest.raises(SystemExit) as info, one_line_errors():
        try:
            os.kill(os.getpid(), number)
        except Stopped as stopped:
            raise Stopped('stopped here; go on so') from stopped
    assert info.value.code == status
    assert capsys.readouterr().err.strip() == 'stopped here; go on so'


def test_a_second_signal_does_not_disturb_the_end():
    ended = False
    with pytest.raises(Stopped), stop_in_order():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            ended = True
    assert ended and stop_signal() == signal.SIGINT


def test_what_fails_after_the_signal_is_no_error(capsys):
    with pytest.raises(SystemExit) as info, one_line_errors():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            raise RuntimeError('DataLoader worker exited unexpectedly')
    assert info.value.code == 130 and capsys.readouterr().err.strip() == 'stopped'


def test_without_a_signal_nothing_is_left_behind():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stop_in_order():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_forked_children_are_ended_by_their_parent():
    with stop_in_order():
        child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))
        child.start()
        os.kill(child.pid, signal.SIGINT)
        child.join(0.5)
        assert child.is_alive()
        child.terminate()
        child.join(10)
    assert child.exitcode == -signal.SIGTERM and stop_signal() is None
