# Copyright (c) mmreid contributors. All rights reserved.
"""Averaged norm statistics. The tests of two ranks run this file as a script and read what it writes."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from tiny_config import ROOT
from torch import nn
from warm_processes import run_ranks

from mmreid.engine import EpochSeedHook, SafeCheckpointHook, SyncNormHook
from mmreid.utils.compat import register_safe_globals

WORLD = 2


class MixedModel(nn.Module):
    """Norm layers of several kinds, and unrelated buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(
            [nn.BatchNorm2d(3), nn.BatchNorm1d(5), nn.InstanceNorm2d(2, track_running_stats=True), nn.GroupNorm(1, 4)]
        )
        self.no_stats = nn.BatchNorm1d(2, track_running_stats=False)
        self.again = self.norms[0]
        self.register_buffer('memory', torch.zeros(4))
        self.register_buffer('running_mean', torch.zeros(4))


def summary(model: nn.Module) -> dict[str, list]:
    return {name: buffer.flatten().tolist() for name, buffer in model.named_buffers()}


def check_function(rank: int) -> dict:
    """Fills every buffer with values of the rank, synchronizes, and tells what there is.

    Args:
        rank (int): The rank.

    Returns:
        dict: Buffers, number of layers, number of messages.
    """
    import torch.distributed as dist

    model = MixedModel().eval()
    for index, buffer in enumerate(model.buffers()):
        buffer.copy_(torch.arange(buffer.numel()).reshape(buffer.shape) + index + rank + 1)
    messages, all_reduce = [], dist.all_reduce
    dist.all_reduce = lambda *args, **kwargs: (messages.append(1), all_reduce(*args, **kwargs))[1]
    layers = SyncNormHook.sync(nn.Sequential(model))
    dist.all_reduce = all_reduce
    return dict(buffers=summary(model), layers=layers, messages=len(messages))


class Spy(Hook):
    """Notes the statistics of the rank when training of the epoch or iteration is over, before any other hook.

    Args:
        by_epoch (bool): At the end of epochs, not of iterations.
    """

    priority = 'HIGHEST'

    def __init__(self, by_epoch: bool) -> None:
        self.by_epoch = by_epoch
        self.seeds: list[int] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.seeds.append(torch.initial_seed())

    def note(self, runner) -> None:
        self.local = runner.model.module.norm.running_mean.tolist()
        self.calls = getattr(self, 'calls', 0) + 1

    def after_train_epoch(self, runner) -> None:
        if self.by_epoch:
            self.note(runner)

    def after_train_iter(self, runner, *args, **kwargs) -> None:
        if not self.by_epoch:
            self.note(runner)


def train(rank: int, work_dir: str, sync: list[dict], by_epoch: bool = True) -> dict:
    """Trains a normalized layer with DDP for two epochs of one step.

    Args:
        rank (int): The rank.
        work_dir (str): The work directory, shared by the ranks.
        sync (list[dict]): The hook under test, or nothing.
        by_epoch (bool): Loop and checkpoints by epoch; otherwise by iteration.

    Returns:
        dict: Statistics before and after the hook, of the EMA copy, and in the checkpoint.
    """
    from mmengine.model import BaseModel

    class Model(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(2)

        def forward(self, inputs, data_samples=None, mode='tensor'):
            return dict(loss=self.norm(torch.stack(list(inputs))).square().mean())

    class Data(torch.utils.data.Dataset):
        metainfo = {}

        def __len__(self):
            return 8

        def __getitem__(self, index):
            return dict(inputs=torch.tensor([float(index), float(index**2)]))

    spy = Spy(by_epoch)
    loop = dict(by_epoch=True, max_epochs=2) if by_epoch else dict(type='IterBasedTrainLoop', max_iters=2)
    wrapper = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)
    sampler = 'DefaultSampler' if by_epoch else 'InfiniteSampler'
    runner = Runner(
        model=Model(),
        work_dir=work_dir,
        train_dataloader=dict(batch_size=4, num_workers=0, sampler=dict(type=sampler, shuffle=False), dataset=Data()),
        train_cfg=loop,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        param_scheduler=[],
        default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=1, by_epoch=by_epoch, max_keep_ckpts=1)),
        custom_hooks=[dict(type='EpochSeedHook'), dict(type='EMAHook'), *sync],
        cfg=dict(model_wrapper_cfg=wrapper),
        default_scope='mmreid',
        experiment_name=f'sync-{os.path.basename(work_dir)}',
        launcher='pytorch',
        randomness=dict(seed=0),
        log_level='ERROR',
    )
    runner.register_hook(spy)
    runner.train()
    torch.distributed.barrier()
    ema = next(hook for hook in runner.hooks if isinstance(hook, EMAHook)).ema_model.module
    saved = torch.load(f'{work_dir}/{"epoch" if by_epoch else "iter"}_2.pth', weights_only=True)
    return dict(
        local=spy.local,
        calls=spy.calls,
        live=runner.model.module.norm.running_mean.tolist(),
        ema=ema.norm.running_mean.tolist(),
        saved=saved['state_dict']['norm.running_mean'].tolist(),
        files=sorted(name for name in os.listdir(work_dir) if name.endswith(('.pth', '.tmp'))),
        seeds=spy.seeds,
    )


def main(folder: str) -> None:
    """Runs everything on one rank and writes what it saw.

    Args:
        folder (str): Shared folder.
    """
    rank = int(os.environ['RANK'])
    register_safe_globals()  # this file runs as a script, without conftest.py
    os.environ['CUDA_VISIBLE_DEVICES'] = ''  # gloo on the CPU, wherever the test runs
    torch.distributed.init_process_group('gloo')
    seen = dict(
        function=check_function(rank),
        epochs=train(rank, f'{folder}/epochs', [dict(type='SyncNormHook')]),
        without=train(rank, f'{folder}/without', []),
        iters=train(rank, f'{folder}/iters', [dict(type='SyncNormHook', interval=2)], by_epoch=False),
    )
    Path(folder, f'{rank}.json').write_text(json.dumps(seen))
    torch.distributed.destroy_process_group()


@pytest.fixture(scope='module')
def ranks(tmp_path_factory) -> list[dict]:
    """Runs this file on two ranks.

    Args:
        tmp_path_factory (pytest.TempPathFactory): Gives the shared folder.

    Returns:
        list[dict]: What each rank has seen.
    """
    folder = tmp_path_factory.mktemp('ranks')
    run_ranks(WORLD, str(Path(__file__).relative_to(ROOT)), folder)
    return [json.loads((folder / f'{rank}.json').read_text()) for rank in range(WORLD)]


@pytest.mark.dist
def test_averages_statistics_and_nothing_else(ranks):
    reports = [rank['function'] for rank in ranks]
    model = MixedModel()
    for index, (name, buffer) in enumerate(model.named_buffers()):
        start = torch.arange(buffer.numel(), dtype=torch.float64) + index + 1
        is_stat = name.startswith('norms.') and not name.endswith('num_batches_tracked')
        for rank, report in enumerate(reports):
            assert report['buffers'][name] == (start + (0.5 if is_stat else rank)).tolist(), name
    assert [report['layers'] for report in reports] == [3, 3], 'the layer with two names counts once'
    assert [report['messages'] for report in reports] == [1, 1]


@pytest.mark.dist
@pytest.mark.parametrize('loop', ['epochs', 'iters'])
def test_what_is_saved_is_the_mean(ranks, loop):
    zero, one = (rank[loop] for rank in ranks)
    assert zero['local'] != one['local']
    mean = (torch.tensor(zero['local'], dtype=torch.float64) + torch.tensor(one['local'], dtype=torch.float64)) / 2
    expected = mean.float().tolist()
    assert zero['saved'] == zero['live'] == one['live'] == expected
    assert zero['ema'] == one['ema'] == expected, "EMAHook copies the buffers, so the copies are the ranks' own"


@pytest.mark.dist
def test_without_the_hook_rank_zero_is_saved(ranks):
    zero, one = (rank['without'] for rank in ranks)
    assert zero['saved'] == zero['local'] and one['live'] == one['local'] != zero['live']


@pytest.mark.dist
def test_one_rank_saves_and_each_draws_its_own_stream(ranks):
    zero, one = (rank['epochs'] for rank in ranks)
    assert zero['files'] == ['epoch_2.pth'] and zero['calls'] == one['calls'] == 2
    assert len(set(zero['seeds'] + one['seeds'])) == 4, 'two epochs on two ranks'


def test_alone_nothing_happens():
    model = MixedModel()
    before = summary(model)
    assert SyncNormHook.sync(model) == 0 and summary(model) == before


def test_order_among_hooks(make_runner):
    """Weights are final, then statistics are averaged, then the checkpoint is saved; seeds come first."""
    hooks = [dict(type=name) for name in ('SyncNormHook', 'EMAHook', 'EpochSeedHook')]
    order = make_runner(custom_hooks=hooks, checkpoint=dict(type='SafeCheckpointHook')).hooks

    def place(kind):
        return next(index for index, hook in enumerate(order) if isinstance(hook, kind))

    assert place(EMAHook) < place(SyncNormHook) < place(SafeCheckpointHook)
    assert place(EpochSeedHook) < next(index for index, hook in enumerate(order) if hook.priority == 'NORMAL')


def test_once_per_stretch_of_training(monkeypatch):
    """Averaging twice could move the last bit with three ranks, and would cost a message."""
    calls = []
    monkeypatch.setattr(SyncNormHook, 'sync', staticmethod(lambda *models: calls.append(models)))
    runner = SimpleNamespace(model='model', hooks=[], iter=0, max_iters=10)
    hook = SyncNormHook(interval=3)
    hook.after_train_iter(runner, 0)
    hook.after_train_epoch(runner)
    hook.before_val_epoch(runner)
    assert len(calls) == 1
    runner.iter = 2
    hook.after_train_iter(runner, 2)
    assert len(calls) == 2, 'the interval is over'
    runner.iter = 9
    hook.after_train_iter(runner, 9)
    hook.before_val_epoch(runner)
    assert len(calls) == 3, 'the last iteration'


def test_refuses_zero():
    with pytest.raises(ValueError, match='interval=0 '):
        SyncNormHook(interval=0)


if __name__ == '__main__':
    main(sys.argv[1])
