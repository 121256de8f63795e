# Copyright (c) mmreid contributors. All rights reserved.
"""A hook that ends its own process, imported by the configs of tests."""

import os
import signal

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmreid.registry import HOOKS


@HOOKS.register_module()
class KillHook(Hook):
    """Sends a signal after an iteration; SIGKILL as `kill -9` or the out-of-memory killer would.

    Args:
        at_iter (int): The iteration, counted over all epochs, 1-based.
        name (str): The signal. Defaults to 'SIGKILL'.
        to_parent (bool): Send it to the parent, such as the launcher, on the first rank. Defaults to False.
    """

    def __init__(self, at_iter: int, name: str = 'SIGKILL', to_parent: bool = False) -> None:
        self.at_iter = at_iter
        self.signal = signal.Signals[name]
        self.to_parent = to_parent

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter + 1 == self.at_iter:
            if not self.to_parent:
                os.kill(os.getpid(), self.signal)
            elif is_main_process():
                os.kill(os.getppid(), self.signal)
