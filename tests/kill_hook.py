# Copyright (c) mmreid contributors. All rights reserved.
"""A hook that kills its own process the hard way, imported by the configs of the resume tests."""

import os
import signal

from mmengine.hooks import Hook

from mmreid.registry import HOOKS


@HOOKS.register_module()
class KillHook(Hook):
    """Sends SIGKILL after an iteration, as `kill -9` or the out-of-memory killer would.

    Args:
        at_iter (int): The iteration, counted over all epochs, 1-based.
    """

    def __init__(self, at_iter: int) -> None:
        self.at_iter = at_iter

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter + 1 == self.at_iter:
            os.kill(os.getpid(), signal.SIGKILL)
