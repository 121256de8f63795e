# Copyright (c) mmreid contributors. All rights reserved.
import io

from rich.console import Console

from mmreid.utils import progress
from mmreid.utils.progress import track


class Clock:
    """A clock that advances two seconds each time it is read."""

    now = 0.0

    def monotonic(self):
        self.now += 2
        return self.now


def run(monkeypatch, terminal, items=range(6)):
    monkeypatch.setattr(progress, 'time', Clock())
    lines, drawn = [], io.StringIO()
    monkeypatch.setattr(progress, 'print_log', lambda text, *_: lines.append(text))
    walked = list(track(items, 'matching', Console(file=drawn, force_terminal=terminal, width=80)))
    assert walked == list(items)
    return lines, drawn.getvalue()


def test_a_log_gets_a_line_with_the_time_that_is_left(monkeypatch):
    lines, drawn = run(monkeypatch, terminal=False)
    assert lines == ['matching | 2 of 6 parts done, 0:00:12 left'] and not drawn


def test_a_terminal_gets_a_bar(monkeypatch):
    lines, drawn = run(monkeypatch, terminal=True)
    assert not lines and 'matching' in drawn and '2/6' in drawn and '5/6' in drawn


def test_short_work_is_silent(monkeypatch):
    for terminal in (False, True):
        assert run(monkeypatch, terminal, items=range(2)) == ([], '')


def test_the_bar_ends_where_the_work_fails(monkeypatch):
    monkeypatch.setattr(progress, 'time', Clock())
    drawn = io.StringIO()
    walk = track(range(6), 'matching', Console(file=drawn, force_terminal=True, width=80))
    for item in walk:
        if item == 3:
            walk.close()
    assert '3/6' in drawn.getvalue() and drawn.getvalue().endswith('\x1b[2K')
