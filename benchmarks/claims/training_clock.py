# Copyright (c) mmreid contributors. All rights reserved.
"""The processor time of training, without what runs between the epochs."""

import time

from mmengine.hooks import Hook

from mmreid.engine import ReIDRunner


class TrainingClock(Hook):
    """Adds up the processor time of epochs, and of what hooks do before each."""

    priority = 'VERY_HIGH'  # around the graphs or labels of an epoch, and before anything is saved or tested

    def __init__(self) -> None:
        self.seconds, self.started = 0.0, 0.0

    def before_train_epoch(self, runner: ReIDRunner) -> None:
        """Starts the clock."""
        self.started = time.process_time()

    def after_train_epoch(self, runner: ReIDRunner) -> None:
        """Stops the clock."""
        self.seconds += time.process_time() - self.started
