# Copyright (c) mmreid contributors. All rights reserved.
"""Tells models apart by what their scores are made of."""

import hashlib

import torch

from .base import BaseReID

#: What testing uses; a checkpoint and the published model made of it agree in these.
_USED = ('backbone.', 'neck.', 'matcher.')


def model_fingerprint(model: BaseReID) -> str:
    """Returns 16 hexadecimal digits that differ between models of other weights, or with and without flip test.

    Args:
        model (BaseReID): The model, unwrapped.

    Returns:
        str: The digits.
    """
    digest = hashlib.sha256(f'{type(model).__name__} {type(model.matcher).__name__} {model.flip_test}'.encode())
    for name, value in sorted(model.state_dict().items()):
        name = name.replace('_orig_mod.', '')  # torch.compile adds it
        if name.startswith(_USED):
            value = value.detach().cpu().contiguous()
            digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
            digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
