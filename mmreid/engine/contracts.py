# Copyright (c) mmreid contributors. All rights reserved.
"""What hooks and loops may ask of the runner and of evaluation loops beyond what MMEngine's own classes offer.

Each class here is the base of the class that keeps the promise, so that others ask with ``isinstance`` and MMEngine's
own runner and loops are simply not one of them.
"""

from typing import Any

from mmengine.evaluator import Evaluator
from torch.utils.data import DataLoader

from mmreid.utils.current_run import CurrentRun


class RunAwareRunner:
    """A runner that knows which run it trains; :class:`~mmreid.engine.ReIDRunner` is one.

    Attributes:
        current_run (CurrentRun | None): The run; None until training begins.
        loaded_meta (dict): ``meta`` of the checkpoint that was loaded; empty without one.
        validation_saved (bool): Whether the resumed checkpoint was saved after its validation.
        validated_iter (int): Iteration after which the last validation ran; -1 before the first.
    """

    current_run: CurrentRun | None = None
    loaded_meta: dict[str, Any] = {}
    validation_saved: bool = False
    validated_iter: int = -1


class MultiTestSetLoop:
    """An evaluation loop over several test sets; :class:`~mmreid.engine.ReIDValLoop` and ``ReIDTestLoop`` are two.

    Attributes:
        pairs (list[tuple[DataLoader, Evaluator]]): The dataloader and the evaluator of each test set.
    """

    pairs: list[tuple[DataLoader, Evaluator]]


def current_run_of(runner: Any) -> CurrentRun | None:
    """Returns the run that a runner trains; None before training, and for MMEngine's own runner."""
    return runner.current_run if isinstance(runner, RunAwareRunner) else None


def loaded_meta_of(runner: Any) -> dict[str, Any]:
    """Returns ``meta`` of the checkpoint that a runner loaded; empty for MMEngine's own runner, which forgets it."""
    return runner.loaded_meta if isinstance(runner, RunAwareRunner) else {}
