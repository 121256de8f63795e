# Copyright (c) mmreid contributors. All rights reserved.
"""Loads a state dict into a model and reports what happened to every key."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import nn

from mmreid.utils.checkpoint import require_weights

TRAINING_ONLY = 'head.'
COUNTER = 'num_batches_tracked'


@dataclass
class LoadReport:
    """What happened to the keys of a checkpoint.

    Attributes:
        loaded (list[str]): Keys that were loaded.
        missing (list[str]): Keys of the model that the checkpoint lacks.
        reshaped (dict[str, str]): Keys whose shapes differ, with both shapes; not loaded.
        unused (list[str]): Keys of the checkpoint that the model does not have.
    """

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    reshaped: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f'{len(self.loaded)} of {len(self.loaded) + len(self.missing) + len(self.reshaped)} entries loaded']
        training = [key for key in self.unused if key.startswith(TRAINING_ONLY)]
        other = [key for key in self.unused if not key.startswith(TRAINING_ONLY)]
        for label, keys in (
            ('skipped for their shape', [f'{key} ({shapes})' for key, shapes in self.reshaped.items()]),
            ('missing in the file', self.missing),
            ('not needed here', training),
            ('unused', other),
        ):
            if keys:
                parts.append(f'{label}: {_some(keys)}')
        return '; '.join(parts)

    @property
    def is_exact(self) -> bool:
        """bool: Whether file and model have the same keys and shapes."""
        return not (self.missing or self.reshaped or self.unused)

    @property
    def is_complete(self) -> bool:
        """bool: Whether everything that features are made of was loaded; losses may be missing."""
        return all(key.startswith(TRAINING_ONLY) for key in [*self.missing, *self.reshaped])


def load_weights(model: nn.Module, checkpoint: dict) -> LoadReport:
    """Loads the part of a checkpoint that fits into a model.

    Args:
        model (nn.Module): The model, unwrapped.
        checkpoint (dict): A checkpoint with ``state_dict``, or a plain state dict. A prefix ``module.`` is stripped.

    Returns:
        LoadReport: What happened to the keys.
    """
    state = checkpoint.get('state_dict', checkpoint)
    state = {key.removeprefix('module.'): value for key, value in state.items() if isinstance(value, torch.Tensor)}
    own = model.state_dict()
    report = LoadReport()
    # Modules may rename keys and resize position embeddings while loading, so only torch knows what does not fit.
    try:
        model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        misfits = [key for key in own if f'size mismatch for {key}: ' in str(error)]
        if not misfits:
            raise
        for key in misfits:
            found = _in_file(key, state)
            report.reshaped[key] = f'{tuple(state[found].shape)} -> {tuple(own[key].shape)}'
        for key in misfits:
            state.pop(_in_file(key, state), None)
    missing, unused = model.load_state_dict(state, strict=False)
    report.missing = [key for key in missing if key not in report.reshaped]
    report.unused = list(unused)
    # torch fills a missing batch counter in silently; that is not loading.
    lost = set(missing)
    report.loaded = [key for key in own if key not in lost and (key in state or not key.endswith(COUNTER))]
    return report


def fit_checkpoint(checkpoint: dict, state: dict[str, torch.Tensor], filename: str) -> dict:
    """Returns a checkpoint whose weights, and averaged weights (EMA) if any, have exactly the keys of a model.

    Averaged weights that do not fit are replaced by the model's. Raises a CheckpointError if they are not tensors by
    name.

    Args:
        checkpoint (dict): The checkpoint.
        state (dict[str, torch.Tensor]): State dict of the model that it was loaded into; it is copied.
        filename (str): The file, for messages.
    """
    fitted = dict(checkpoint, state_dict={key: value.clone() for key, value in state.items()})
    if 'ema_state_dict' in checkpoint:
        second = require_weights(checkpoint['ema_state_dict'], f'{filename}: ema_state_dict')
        fitted['ema_state_dict'] = {
            f'module.{key}': found if found is not None and found.shape == value.shape else value.clone()
            for key, value in state.items()
            for found in [second.get(f'module.{key}')]
        }
    return fitted


def _in_file(key: str, state: dict[str, torch.Tensor]) -> str:
    """Returns the key of the file that a key of the model is loaded from; branch norms load a plain norm's."""
    module, _, name = key.rpartition('.')
    return key if key in state else f'{module.rpartition(".")[0]}.{name}'


def backbone_fraction(report: LoadReport, model: nn.Module) -> float:
    """Returns the fraction of the backbone that a checkpoint filled, of the model where it has no ``backbone``."""
    keys = [key for key in model.state_dict() if not key.endswith(COUNTER)]
    wanted = [key for key in keys if key.startswith('backbone.')] or keys
    return len(set(wanted) & set(report.loaded)) / max(1, len(wanted))


def _some(keys: Iterable[str], count: int = 4) -> str:
    keys = list(keys)
    return ', '.join(keys[:count]) + (f' and {len(keys) - count} more' if len(keys) > count else '')
