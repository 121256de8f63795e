# Copyright (c) mmreid contributors. All rights reserved.
"""Which evaluator belongs to which test set."""

import copy
from typing import Any


def pair_evaluators(dataloaders: Any, evaluators: Any) -> list[tuple[Any, Any]]:
    """Pairs each dataloader with its evaluator; a single evaluator config is copied for all of them."""
    if not isinstance(dataloaders, (list, tuple)):
        return [(dataloaders, evaluators)]
    if not dataloaders:
        raise ValueError('the list of test dataloaders is empty; give at least one')
    if len(dataloaders) == 1 and not (isinstance(evaluators, (list, tuple)) and len(evaluators) == 1):
        return [(dataloaders[0], evaluators)]  # a list here is the list of metrics of this one
    if isinstance(evaluators, dict):
        evaluators = [copy.deepcopy(evaluators) for _ in dataloaders]
    if not isinstance(evaluators, (list, tuple)) or len(evaluators) != len(dataloaders):
        raise ValueError(
            f'{len(dataloaders)} test dataloaders need one evaluator config for all, or a list of {len(dataloaders)}; '
            f'got {evaluators!r}'
        )
    return list(zip(dataloaders, evaluators, strict=True))
