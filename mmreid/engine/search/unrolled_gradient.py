# Copyright (c) mmreid contributors. All rights reserved.
"""The gradient of an architecture through one step of its weights (DARTS, Liu et al., ICLR 2019, eq. 6-8)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Loss = Callable[[], tuple[Tensor, dict[str, Tensor]]]


def unrolled_gradient(
    train_loss: Loss, arch_loss: Loss, logits: nn.Parameter, groups: Sequence[dict], buffers: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Sets ``logits.grad`` to the second-order gradient; weights and buffers stay as they were.

    The weights take one plain gradient step on the training loss, ``w' = w - lr * dL_train(w)/dw``, where the
    architecture loss is evaluated. A central difference along ``lr * dL_arch(w')/dw'`` estimates how ``w'`` depends on
    the architecture.

    Args:
        train_loss (Callable): Runs a forward on the batch of the weight step; returns the loss and log variables.
        arch_loss (Callable): The same on the batch of the architecture step.
        logits (nn.Parameter): The architecture parameters.
        groups (Sequence[dict]): Parameter groups of the weights' optimizer, with ``params`` and ``lr``.
        buffers (Sequence[Tensor]): Everything else that a forward changes, such as running statistics.

    Returns:
        dict[str, Tensor]: Log variables of the architecture loss.
    """
    pairs = [(entry, group['lr']) for group in groups for entry in group['params'] if entry.requires_grad]
    weights, rates = [entry for entry, _ in pairs], [rate for _, rate in pairs]
    state = [*weights, *buffers]
    before = [entry.detach().clone() for entry in state]

    _differentiate(train_loss, weights, logits)
    _move(weights, weights, [-rate for rate in rates], [entry.grad for entry in weights])
    outputs = _differentiate(arch_loss, weights, logits)
    direct = logits.grad.clone()
    directions = [None if entry.grad is None else rate * entry.grad for entry, rate in zip(weights, rates, strict=True)]
    length = torch.stack([entry.norm() for entry in directions if entry is not None]).norm()

    if length > 0:
        step = float(0.01 / length)
        devices = [logits.device] if logits.is_cuda else []
        with torch.random.fork_rng(devices):  # both sides see the same dropout
            above = _gradient_at(step, before, directions, weights, train_loss, logits)
        below = _gradient_at(-step, before, directions, weights, train_loss, logits)
        direct -= (above - below) / (2 * step)
    _restore(state, before)
    for entry in weights:
        entry.grad = None
    logits.grad = direct
    return outputs


def _gradient_at(step, before, directions, weights, train_loss, logits) -> Tensor:
    """Returns the architecture gradient of the training loss after moving the weights along the directions."""
    _move(weights, before[: len(weights)], [step] * len(weights), directions)
    _differentiate(train_loss, weights, logits)
    return logits.grad.clone()


def _differentiate(loss: Loss, weights: Sequence[Tensor], logits: nn.Parameter) -> dict[str, Tensor]:
    for entry in (*weights, logits):
        entry.grad = None
    value, outputs = loss()
    value.backward()
    return outputs


@torch.no_grad()
def _move(weights, origins, steps, directions) -> None:
    for entry, origin, step, direction in zip(weights, origins, steps, directions, strict=True):
        entry.copy_(origin if direction is None else origin + step * direction)


@torch.no_grad()
def _restore(state, before) -> None:
    for entry, value in zip(state, before, strict=True):
        entry.copy_(value)
