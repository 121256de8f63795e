# Copyright (c) mmreid contributors. All rights reserved.
"""Shows the progress of training, validation and test."""

import atexit
import time
from collections.abc import Sequence
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from mmreid.engine.contracts import MultiTestSetLoop
from mmreid.registry import HOOKS

REFRESH_SECONDS = 0.2


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Draws a progress bar with the remaining time on a terminal; does nothing where the output is a file.

    Args:
        console (rich.console.Console, optional): Where to draw. Defaults to None, the terminal.
    """

    priority = 'LOWEST'

    def __init__(self, console: Any = None) -> None:
        self.console = console
        self.progress: Progress | None = None
        self.drawn = 0.0
        self.tasks: dict[str, TaskID] = {}

    def _start(self, name: str, total: int, done: int = 0) -> None:
        if self.progress is None:
            self.progress = Progress(
                TextColumn('{task.description}'),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn('{task.fields[note]}'),
                console=self.console,
                transient=True,
                # A refreshing thread or a redirected stream could hold its lock while a worker is forked, which would
                # then wait for it forever.
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            if not is_main_process() or not self.progress.console.is_terminal:
                self.progress.disable = True
            self.progress.start()
            atexit.register(self.progress.stop)  # a run that fails must not leave the cursor hidden
        self.tasks[name] = self.progress.add_task(name, total=total, completed=done, note='')

    def _step(self, name: str, note: str = '', total: int | None = None) -> None:
        if name in self.tasks:
            self.progress.update(self.tasks[name], advance=1, note=note, total=total)
            if time.monotonic() - self.drawn > REFRESH_SECONDS:
                self.progress.refresh()
                self.drawn = time.monotonic()

    def _end(self, name: str) -> None:
        if name not in self.tasks:
            return
        self.progress.remove_task(self.tasks.pop(name))
        if not self.tasks:
            self.progress.stop()
            self.progress = None

    def before_train(self, runner: Runner) -> None:
        """Starts the bar of the training, where a resumed run left off."""
        self._start('training', runner.max_iters, runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Advances the bar of the training."""
        # A schedule may move the end of the training forward.
        self._step('training', f'epoch {runner.epoch + 1}/{runner.max_epochs}', runner.max_iters)

    def after_train(self, runner: Runner) -> None:
        """Removes the bar of the training."""
        self._end('training')

    def before_val_epoch(self, runner: Runner) -> None:
        """Starts the bar of a validation over all its test sets."""
        self._start('validation', _length(runner.val_loop))

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Advances the bar of the validation."""
        self._step('validation')

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Removes the bar of the validation."""
        self._end('validation')

    def before_test_epoch(self, runner: Runner) -> None:
        """Starts the bar of a test over all its test sets."""
        self._start('test', _length(runner.test_loop))

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Advances the bar of the test."""
        self._step('test')

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Removes the bar of the test."""
        self._end('test')

    def after_run(self, runner: Runner) -> None:
        """Removes any bar that is left."""
        for name in list(self.tasks):
            self._end(name)


def _length(loop: Any) -> int:
    """Counts the batches of an evaluation loop, over all its test sets."""
    if not isinstance(loop, MultiTestSetLoop):  # one of MMEngine's own loops
        return len(loop.dataloader)
    return sum(len(dataloader) for dataloader, _ in loop.pairs)
