# Copyright (c) mmreid contributors. All rights reserved.
"""A Runner that trains one small layer in a fraction of a second."""

import random
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from mmreid.registry import HOOKS


class ToyModel(BaseModel):
    """One linear layer; returns log variables of a script, one entry per step, beside its own loss."""

    def __init__(self, width: int = 2, script: list | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(4, width)
        self.script = list(script or [])
        self.draws: list[float] = []

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode != 'loss':
            return [0]
        self.draws.append(torch.rand(()).item())
        loss = self.layer(torch.stack(list(inputs)) if isinstance(inputs, (list, tuple)) else inputs).square().mean()
        logs = dict(loss_toy=loss)
        for key, value in (self.script.pop(0) if self.script else {}).items():
            logs[key] = loss * value if 'loss' in key else torch.tensor(value)
        return logs


class ToyDataset(Dataset):
    """Eight constant vectors."""

    metainfo = dict(name='toy')

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict:
        return dict(inputs=torch.full((4,), float(index)))


class ScriptedMetric(BaseMetric):
    """Returns the scores of a script, one entry per validation."""

    def __init__(self, script: list) -> None:
        super().__init__()
        self.script = list(script)

    def process(self, data_batch, data_samples) -> None:
        self.results.append(0)

    def compute_metrics(self, results) -> dict:
        return self.script.pop(0)


@HOOKS.register_module(force=True)
class DrawHook(Hook):
    """Draws random numbers at the end of each epoch."""

    def after_train_epoch(self, runner) -> None:
        torch.rand(5), np.random.rand(5), random.random()


@pytest.fixture
def make_runner(work_dir: str) -> Callable[..., Runner]:
    """Returns a function that builds a toy Runner in the test's work directory.

    ``make_runner(epochs=2, iters=None, script=None, scores=None, dataset=None, checkpoint=None, width=2, sampler=None,
    **cfg)``; ``cfg`` goes to the Runner.
    """

    def make(
        epochs=2, iters=None, script=None, scores=None, dataset=None, checkpoint=None, width=2, sampler=None, **cfg
    ):
        sampler = sampler or dict(type='DefaultSampler', shuffle=False)
        loader = dict(batch_size=4, num_workers=0, sampler=sampler)
        hooks = cfg.pop('default_hooks', {})
        hooks['checkpoint'] = checkpoint or dict(type='CheckpointHook', interval=-1, save_last=False)
        if scores is not None:
            cfg.update(
                val_dataloader=dict(loader, dataset=ToyDataset()),
                val_cfg=dict(type='ValLoop'),
                val_evaluator=Evaluator([ScriptedMetric(scores)]),
            )
        by_iter = dict(type='IterBasedTrainLoop', max_iters=iters)
        cfg.setdefault('work_dir', work_dir)
        cfg.setdefault('randomness', dict(seed=3))
        return Runner(
            model=ToyModel(width, script),
            train_dataloader=dict(loader, dataset=dataset or ToyDataset()),
            train_cfg=by_iter if iters else dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
            param_scheduler=[dict(type='MultiStepLR', milestones=[100])],
            default_hooks=hooks,
            default_scope='mmreid',
            experiment_name=f'toy-{uuid.uuid4().hex}',
            log_level='INFO',
            **cfg,
        )

    return make


@pytest.fixture
def read_log(work_dir: str) -> Callable[[], str]:
    """Returns a function that reads everything the Runners of the test have logged to files."""
    return lambda: '\n'.join(path.read_text() for path in sorted(Path(work_dir).glob('*/*.log')))
