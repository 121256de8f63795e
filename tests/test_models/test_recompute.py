# Copyright (c) mmreid contributors. All rights reserved.
"""Gradient checkpoints of networks with branch norms: one registration, and a rerun that sees the batch of its run."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils import checkpoint as torch_checkpoint

from mmreid.models import BranchBN2d, BranchContext, attach_branches
from mmreid.models.layers.recompute import _running, replayable

from .modality_rank_work import batch, build, gradients

# A process that imports mmreid, then builds a model without checkpoints and one with them.
IMPORTS_AND_MODELS = """
import torch.utils.checkpoint
original = torch.utils.checkpoint.checkpoint
import mmreid.engine, mmreid.models
assert torch.utils.checkpoint.checkpoint is original, 'import'
from modality_rank_work import build
build()
assert torch.utils.checkpoint.checkpoint is original, 'model without checkpoints'
build(backbone=dict(with_cp=True))
registered = torch.utils.checkpoint.checkpoint
assert registered is not original, 'model with checkpoints'
build(backbone=dict(with_cp=True))
assert torch.utils.checkpoint.checkpoint is registered, 'second model'
x = torch.ones(2, requires_grad=True)
registered(lambda x: x * 3, x, use_reentrant=False).sum().backward()
assert x.grad.tolist() == [3, 3]
"""


class Part(nn.Module):
    """A norm behind a convolution, checkpointed ``depth`` times inside each other."""

    with_cp = True

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth
        self.conv = nn.Conv2d(4, 4, 1)
        self.norm = BranchBN2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def run(depth: int, x: torch.Tensor) -> torch.Tensor:
            if depth == 0:
                return self.norm(self.conv(x)).relu()
            return torch_checkpoint.checkpoint(lambda x: run(depth - 1, x), x)

        return run(self.depth, x)


def parts(depth: int, names=('one', 'two', 'three')) -> tuple[nn.Sequential, BranchContext]:
    torch.manual_seed(0)
    network, context = nn.Sequential(Part(depth), Part(depth)).double(), BranchContext(names)
    for norm in attach_branches(network, context).values():
        norm.set_mode('split')
        for i, branch in enumerate(norm.branches):
            branch.weight.data += i
    return network, context


def forward(network: nn.Module, context: BranchContext, *blocks: int) -> torch.Tensor:
    x = torch.randn(sum(blocks), 4, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    context.set_blocks(*blocks)
    try:
        with replayable(context, [part.norm for part in network]):
            return network(x.requires_grad_()).square().mean()
    finally:
        context.clear()


@pytest.mark.long
def test_imports_register_nothing_and_models_only_once():
    subprocess.run([sys.executable, '-c', IMPORTS_AND_MODELS], check=True, cwd=Path(__file__).parent)  # noqa: S603 - our own code


def test_a_forward_replaces_nothing():
    model = build(backbone=dict(with_cp=True)).train()
    registered, inside = torch_checkpoint.checkpoint, []
    model.neck.register_forward_hook(lambda *_: inside.append(torch_checkpoint.checkpoint))
    gradients(model, batch())
    assert inside == [registered] and torch_checkpoint.checkpoint is registered


@pytest.mark.parametrize('depth', [1, 2])
def test_two_networks_and_nested_checkpoints(depth):
    """Forwards of two networks on three batches, then one backward for all."""
    found = []
    for used in (0, depth):
        first, second = parts(used), parts(used, ('source', 'target'))
        losses = [forward(*first, 2, 3, 3), forward(*second, 3, 4), forward(*first, 6, 0, 2)]
        sum(losses).backward()
        found.append([p.grad for network, _ in (first, second) for p in network.parameters()])
        assert first[1].batch == second[1].batch == (None, None) and _running.get() is None
    for value, expected in zip(*found, strict=True):
        torch.testing.assert_close(value, expected)


def test_an_error_in_a_forward_leaves_nothing_behind():
    network, context = parts(1)
    loss = forward(network, context, 2, 3, 3)
    with pytest.raises(RuntimeError, match='channels'), replayable(context, [part.norm for part in network]):
        network(torch.randn(8, 5, 3, 2, dtype=torch.float64, requires_grad=True))
    assert _running.get() is None
    loss.backward()
    assert context.batch == (None, None) and network[0].norm.two.weight.grad.any()


def test_an_error_in_a_rerun_leaves_nothing_behind():
    network, context = parts(1)
    loss = forward(network, context, 2, 3, 3)
    hook = network[1].conv.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        loss.backward()
    hook.remove()
    assert _running.get() is None and context.batch == (None, None)
    forward(network, context, 2, 3, 3).backward()
    assert network[0].norm.two.weight.grad.any()
