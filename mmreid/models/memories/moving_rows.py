# Copyright (c) mmreid contributors. All rights reserved.
"""Moves rows of a memory toward new features, one after the other, without waiting for the device."""

import torch

from .occurrence import occurrence


def move_rows(rows: torch.Tensor, where: torch.Tensor, feats: torch.Tensor, momentum: float) -> None:
    """Moves rows: ``row = normalize(momentum * row + (1 - momentum) * feature)``, in the order of the features.

    A row that occurs twice moves twice. Features that are not finite, from a step that mixed precision skips, are left
    out.

    Args:
        rows (torch.Tensor): The memory, shape (R, D), of any floating type; changed in place.
        where (torch.Tensor): Which row each feature belongs to, shape (N,), int64, on the host.
        feats (torch.Tensor): Features, shape (N, D).
        momentum (float): Weight of the old row.
    """
    turns = occurrence(where)
    for turn in range(int(turns.max()) + 1 if len(turns) else 0):
        now = (turns == turn).nonzero()[:, 0]  # rows without repetition, which can be written at once
        _move(rows, where[now], feats[now.to(feats.device, non_blocking=True)].float(), momentum)


def _move(rows: torch.Tensor, where: torch.Tensor, feats: torch.Tensor, momentum: float) -> None:
    where = where.to(rows.device, non_blocking=True)
    feats = feats.to(rows.device)  # rows may be on the host, which must wait for them
    old = rows[where].float()
    moved = (momentum * old).add_(feats, alpha=1 - momentum)
    moved /= moved.norm(dim=1, keepdim=True).clamp_min_(1e-12)
    rows[where] = moved.where(feats.isfinite().all(1, keepdim=True), old).to(rows.dtype)
