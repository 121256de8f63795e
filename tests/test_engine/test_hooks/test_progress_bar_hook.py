# Copyright (c) mmreid contributors. All rights reserved.
import io
from types import SimpleNamespace

from rich.console import Console

from mmreid.engine.contracts import MultiTestSetLoop
from mmreid.engine.hooks import ProgressBarHook


def train(console, start=0):
    hook = ProgressBarHook(console=console)
    loop = MultiTestSetLoop()
    loop.pairs = [([0] * 3, None), ([0] * 2, None)]
    runner = SimpleNamespace(max_iters=6, iter=start, epoch=0, max_epochs=2, val_loop=loop)
    hook.before_train(runner)
    for _ in range(start, 6):
        hook.after_train_iter(runner, 0)
    shown = hook.progress.tasks[0].completed
    hook.before_val_epoch(runner)
    total = hook.progress.tasks[1].total
    for _ in range(5):
        hook.after_val_iter(runner, 0)
    hook.after_val_epoch(runner)
    hook.after_train(runner)
    assert hook.progress is None and not hook.tasks
    return shown, total


def test_counts_iterations_from_where_a_run_resumed_and_all_test_sets():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    assert train(console) == (6, 5)
    assert 'training' in out.getvalue() and 'epoch 1/2' in out.getvalue()
    assert train(console, start=4) == (6, 5)


def test_is_silent_where_the_output_is_a_file():
    out = io.StringIO()
    train(Console(file=out))
    assert out.getvalue().strip() == ''
