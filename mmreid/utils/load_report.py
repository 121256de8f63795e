# Copyright (c) mmreid contributors. All rights reserved.
"""Loads a state dict into a model and says what became of every key."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import nn

TRAINING_ONLY = ('head.',)
COUNTER = 'num_batches_tracked'


@dataclass
class LoadReport:
    """What became of the keys of a checkpoint.

    Attributes:
        loaded (list[str]): Keys that were loaded.
        missing (list[str]): Keys of the model that the checkpoint lacks.
        reshaped (list[str]): Keys whose shapes differ, as ``key (shape in file -> shape in model)``; not loaded.
        unused (list[str]): Keys of the checkpoint that the model has not.
    """

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    reshaped: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f'{len(self.loaded)} of {len(self.loaded) + len(self.missing) + len(self.reshaped)} entries loaded']
        if self.reshaped:
            parts.append(f'skipped for their shape: {_some(self.reshaped)} (normal when fine-tuning on other classes)')
        if self.missing:
            parts.append(f'missing in the file: {_some(self.missing)}')
        if self.unused:
            training = [key for key in self.unused if key.startswith(TRAINING_ONLY)]
            other = [key for key in self.unused if not key.startswith(TRAINING_ONLY)]
            if training:
                parts.append(f'not needed here: {_some(training)}')
            if other:
                parts.append(f'unused: {_some(other)}')
        return '; '.join(parts)


def load_weights(model: nn.Module, checkpoint: dict, strict: bool = False, allow_partial: bool = False) -> LoadReport:
    """Loads what fits of a checkpoint into a model.

    Args:
        model (nn.Module): The model, unwrapped.
        checkpoint (dict): A checkpoint with ``state_dict``, or a plain state dict. A prefix ``module.`` is stripped.
        strict (bool): Fail unless all keys and shapes fit. Defaults to False.
        allow_partial (bool): Accept a file that fits less than half of the model's backbone. Defaults to False.

    Returns:
        LoadReport: What became of the keys.

    Raises:
        ValueError: If nothing, or less than half of the backbone, fits; or if ``strict`` and anything does not.
    """
    state = checkpoint.get('state_dict', checkpoint)
    state = {key.removeprefix('module.'): value for key, value in state.items() if isinstance(value, torch.Tensor)}
    own = model.state_dict()
    report = LoadReport()
    for key in own.keys() & state.keys():
        if state[key].shape != own[key].shape:
            report.reshaped.append(f'{key} ({tuple(state[key].shape)} -> {tuple(own[key].shape)})')
            del state[key]
    # Modules may map old keys to theirs while loading, so torch tells what is missing, not a comparison of names.
    missing, unused = model.load_state_dict(state, strict=False)
    reshaped = {text.split(' (')[0] for text in report.reshaped}
    report.missing = [key for key in missing if key not in reshaped]
    report.unused = list(unused)
    # torch fills a missing batch counter in silently; that is not loading.
    report.loaded = [key for key in own if key not in set(missing) and (key in state or not key.endswith(COUNTER))]

    if strict and (report.missing or report.reshaped or report.unused):
        raise ValueError(
            f'the checkpoint does not fit the model, so the run cannot be continued: {report}; use the config it was '
            'made with, or load_from= instead of resume to start anew from its weights'
        )
    wanted = [key for key in own if key.startswith('backbone.') and not key.endswith(COUNTER)] or list(own)
    share = len(set(wanted) & set(report.loaded)) / max(1, len(wanted))
    if share < 0.5 and not allow_partial:
        raise ValueError(
            f'only {share:.0%} of the backbone is in the checkpoint ({report}); it belongs to another model: convert '
            'its keys, or accept it with --cfg-options allow_partial=True'
        )
    return report


def _some(keys: Iterable[str], count: int = 4) -> str:
    keys = list(keys)
    return ', '.join(keys[:count]) + (f' and {len(keys) - count} more' if len(keys) > count else '')
