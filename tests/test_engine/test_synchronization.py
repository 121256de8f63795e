# Copyright (c) mmreid contributors. All rights reserved.
"""How often the host waits for the GPU in a training step of each family: never, but for one transfer an interval."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from short_runs import shorten
from sync_counter import SyncCounter
from test_configs import data_of, market  # noqa: F401
from tiny_config import tiny_config

from mmreid.engine.hooks import PseudoLabelHook
from mmreid.registry import RUNNERS

FAMILIES = [
    'adca/adca_resnet50_1xb384-50e_sysu-288x144.py',
    'agw/agw-caj_resnet50_1xb64-100e_sysu-288x144.py',
    'baseline/bot_resnet50_1xb64-120e_market1501-256x128.py',
    'baseline/circle_resnet50_1xb64-120e_market1501-256x128.py',
    'baseline/pcb_resnet50_1xb64-60e_market1501-384x128.py',
    'cmnas/cmnas_resnet18_1xb128-120e_sysu-256x128.py',
    'cmnas/cmnas-search-gradient_resnet18_1xb64-40e_procedural-64x32.py',
    'gs/gs-baseline_resnet50_1xb64-32e_market1501-256x128.py',
    'gs/qaconv-gs_resnet50-ibnb_1xb64-60e_market1501-384x128.py',
    'gs/qaconv-gs-v2_resnet50-ibnb_1xb64-15e_market1501-384x128.py',
    'gs/qaconv-memory_resnet50-ibnb_1xb8-15e_market1501-384x128.py',
    'ecn/ecn_resnet50_1xb256-60e_msmt2market-256x128.py',
    'ecn/ecn-minibatch_resnet50_1xb256-60e_msmt2market-256x128.py',
    'ecn/ecnpp_resnet50_1xb256-60e_msmt2market-256x128.py',
    'combos/gs-cmnas_resnet50_1xb128-120e_sysu-256x128.py',
]
MORE = [
    'agw/agw_resnet18_1xb64-40e_procedural-64x32.py',
    'baseline/agw_resnet50_1xb64-120e_market1501-256x128.py',
    'baseline/bot-center_resnet50_1xb64-120e_market1501-256x128.py',
    'baseline/bot_vit-small_1xb64-120e_market1501-256x128.py',
    'baseline/sbs_resnet50_1xb64-60e_market1501-384x128.py',
    'baseline/softmax_osnet-x1-0_1xb64-150e_market1501-256x128.py',
    'camstyle/stargan_1xb8-15e_procedural-64x32.py',
    'cmnas/cmnas_swin-tiny_1xb128-120e_sysu-256x128.py',
    'cluster-contrast/cluster-contrast_resnet50_1xb256-50e_market1501-256x128.py',
    'combos/ecn_swin-tiny_1xb256-60e_msmt2market-256x128.py',
    'combos/gs-ecn_resnet50_1xb256-60e_msmt2market-256x128.py',
    'ecn/ecn-dsbn_resnet50_1xb256-60e_msmt2market-256x128.py',
]
INTERVAL = 3


class Enough(Exception):
    """Ends a training that has shown what is asked."""


class CountHook(Hook):
    """Keeps what a counter has found in each step."""

    priority = 'LOWEST'

    def __init__(self, counter: SyncCounter) -> None:
        self.counter = counter
        self.steps: list[dict[str, int]] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if not self.steps:
            self.counter.places.clear()  # what prepares the first step

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.steps.append(dict(self.counter.places))
        self.counter.places.clear()
        if len(self.steps) == INTERVAL:
            raise Enough


def plant_clusters(hook, memory):
    """Lets a hook group features that are on the host, as those of the meta device have no values."""

    def extract(runner, images, domain):
        generator = torch.Generator().manual_seed(0)
        people = torch.randn(len(images), memory.feat_dim, generator=generator)[images // 4]
        return F.normalize(people + 0.01 * torch.randn(people.shape, generator=generator), dim=1)

    def relabel(*args):
        type(memory).relabel(memory, *args)
        memory.to('meta')

    hook._extract, memory.relabel = extract, relabel


def waits_of_steps(name, root_of, work_dir):
    """Trains a config for a few steps on the meta device, and tells where each would wait for a GPU."""
    cfg = tiny_config(name, root_of, work_dir)
    shorten(cfg, batches=9)  # no epoch ends
    cfg.default_hooks.runtime_info.interval = INTERVAL
    for entry in (cfg.train_dataloader, *cfg.train_dataloader.get('batch_sampler', {}).get('parts', ())):
        if 'sampler' in entry and entry.sampler.type == 'GraphIdentitySampler':
            entry.sampler.warmup = 1  # images of the meta device have no neighbors
    runner = RUNNERS.get(cfg.runner_type).from_cfg(cfg)
    runner.model.to('meta')
    for hook in runner.hooks:
        if isinstance(hook, PseudoLabelHook):
            plant_clusters(hook, runner.model.head.memory)
    counter = SyncCounter()
    hook = CountHook(counter)
    runner.register_hook(hook)
    with counter, pytest.raises(Enough):
        runner.train()
    return hook.steps


@pytest.mark.parametrize('name', [*FAMILIES, *(pytest.param(name, marks=pytest.mark.long) for name in MORE)])
def test_one_transfer_in_an_interval(name, data_of, tmp_path):  # noqa: F811
    steps = waits_of_steps(name, data_of, tmp_path)
    for step in steps:  # the norm of the gradients is asked for by clip_grad
        asked = [place for place in step if 'optimizer_wrapper.py' in place and place.endswith('_local_scalar_dense')]
        assert sum(step.pop(place) for place in asked) <= 2
    *between, last = steps
    assert between == [{}] * (INTERVAL - 1)
    assert list(last.values()) == [1] and 'step_values_hook.py' in next(iter(last)) and 'to the host' in str(last)


def on_host():
    return torch.arange(3)


@pytest.mark.parametrize(
    ('operation', 'what'),
    [
        (lambda x: x.sum().item(), '_local_scalar_dense'),
        (lambda x: bool((x > 0).any()), '_local_scalar_dense'),
        (lambda x: x.nonzero(), 'nonzero'),
        (lambda x: x[x > 0], 'boolean index'),
        (lambda x: x.masked_select(x > 0), 'masked_select'),
        (lambda x: x.unique(), '_unique2'),
        (lambda x: x.repeat_interleave(x.long()), 'repeat_interleave'),
        (lambda x: torch.equal(x, x), 'equal'),
        (lambda x: x.cpu(), 'to the host'),
        (lambda x: x.tolist(), 'to the host'),
        (lambda x: on_host().copy_(x), 'to the host'),
        (lambda x: on_host().to(x.device), 'to the device, blocking'),
        (lambda x: x.copy_(on_host()), 'to the device, blocking'),
        (lambda x: torch.tensor([1, 2], device=x.device), 'numbers to the device'),
        (lambda x: x.new_tensor([1, 2]), 'numbers to the device'),
        (lambda x: x[[0, 1]], 'numbers to the device'),
        (lambda x: x[on_host()], 'index on the host'),
    ],
)
def test_the_counter_finds_what_waits(operation, what):
    counter = SyncCounter()
    with counter:
        operation(torch.ones(3, device='meta'))
    assert list(counter.places.values()) == [1]
    place = next(iter(counter.places))
    assert place.endswith(what) and 'test_synchronization.py' in place


@pytest.mark.parametrize(
    'operation',
    [
        lambda x: x[None] @ on_host()[:, None].float(),
        lambda x: x.gather(0, on_host()),
        lambda x: x.scatter(0, on_host(), 1.0),
        lambda x: F.embedding(on_host(), x[:, None]),
        lambda x: on_host()[x.long()],
        lambda x: x.index_put((x.long(),), on_host().float()),
        lambda x: x.to('cpu', non_blocking=True),
    ],
)
def test_the_counter_refuses_what_a_gpu_refuses(operation):
    with SyncCounter(), pytest.raises(RuntimeError, match='host|both devices'):
        operation(torch.ones(3, device='meta'))


def test_the_counter_passes_what_does_not_wait():
    counter = SyncCounter()
    with counter:
        x = torch.ones(3, device='meta', requires_grad=True)
        y = x + on_host().to('meta', non_blocking=True)
        y.where(y > 0, 0)[torch.arange(2, device='meta')].sum().backward()
        on_host()[on_host() > 1].tolist()
    assert x.grad.is_meta and not counter.places
