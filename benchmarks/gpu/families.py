# Copyright (c) mmreid contributors. All rights reserved.
"""An epoch of each family in mixed precision: seconds of a step, memory, and how often a step waits for the GPU."""

import sys
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmreid.datasets.synthetic import MarketPlan, MSMT17Plan, SYSUPlan, World, write_dataset
from mmreid.registry import RUNNERS
from mmreid.utils.config import load_config

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / 'tests'))
from short_runs import shorten  # noqa: E402
from tiny_config import tiny_config  # noqa: E402

FAMILIES = {
    'supervised': 'baseline/bot_resnet50_1xb64-120e_market1501-256x128.py',
    'cmnas-split': 'cmnas/cmnas-split_resnet50_1xb128-120e_sysu-256x128.py',
    'cmnas-search': 'cmnas/cmnas-search-gradient_resnet50_1xb128-40e_sysu-256x128.py',
    'qaconv-gs': 'gs/qaconv-gs_resnet50-ibnb_1xb64-60e_market1501-384x128.py',
    'ecn': 'ecn/ecn_resnet50_1xb256-60e_msmt2market-256x128.py',
    'ecnpp': 'ecn/ecnpp_resnet50_1xb256-60e_msmt2market-256x128.py',
    'cluster-contrast': 'cluster-contrast/cluster-contrast_resnet50_1xb256-50e_market1501-256x128.py',
    'spcl': 'spcl/spcl-uda_resnet50_1xb128-50e_msmt2market-256x128.py',
    'adca': 'adca/adca_resnet50_1xb384-50e_sysu-288x144.py',
}
FOLDERS = dict(Market1501='data/Market-1501-v15.09.15', MSMT17='data/MSMT17_V1', SYSUMM01='data/SYSU-MM01')
WARM_UP = 3  # steps in which libraries choose their algorithms


def write_data(rehearse: bool) -> dict[str, Any]:
    """Draws people where the configs look for the real data sets."""
    ids, test_ids = (6, 4) if rehearse else (64, 16)
    size = (48, 24) if rehearse else (128, 64)
    plans = dict(
        Market1501=(MarketPlan(train_ids=ids, test_ids=test_ids, camstyle=True), {}),
        MSMT17=(MSMT17Plan(train_ids=ids, test_ids=test_ids), {}),
        SYSUMM01=(SYSUPlan(train_ids=ids, val_ids=2, test_ids=test_ids, images_per_camera=4), dict(infrared=(2, 5))),
    )
    for layout, (plan, infrared) in plans.items():
        world = World(seed=0, cameras=6 if infrared else plan.DEFAULT_CAMERAS, size=size, **infrared)
        write_dataset(Path(FOLDERS[layout]), world, plan, workers=1 if rehearse else 8)
    return {}


class StepHook(Hook):
    """Times the steps after the first ones, and counts their warnings of waiting for the GPU."""

    priority = 'LOWEST'

    def __init__(self, on_gpu: bool) -> None:
        self.on_gpu = on_gpu
        self.steps = 0
        self.waits: list[int] = []
        self.places: set[str] = set()

    def before_train_iter(self, runner, batch_idx: int, data_batch: Any = None) -> None:
        if self.steps == WARM_UP:
            self.start = self._now()
        if self.on_gpu and self.steps >= WARM_UP:
            self.caught = warnings.catch_warnings(record=True)
            self.found = self.caught.__enter__()
            warnings.simplefilter('always')
            torch.cuda.set_sync_debug_mode('warn')

    def after_train_iter(self, runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        if self.on_gpu and self.steps >= WARM_UP:
            torch.cuda.set_sync_debug_mode('default')
            self.caught.__exit__(None, None, None)
            waits = [each for each in self.found if 'synchronizing' in str(each.message)]
            self.waits.append(len(waits))
            self.places |= {f'{Path(each.filename).name}:{each.lineno}' for each in waits}
        self.steps += 1

    def after_train_epoch(self, runner) -> None:
        self.milliseconds = 1000 * (self._now() - self.start) / (self.steps - WARM_UP)

    def _now(self) -> float:
        if self.on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()


def config_of(name: str, rehearse: bool) -> Config:
    """Reads a shipped config for one epoch in mixed precision, without validation."""
    if rehearse:
        cfg = tiny_config(FAMILIES[name], lambda layout: Path(FOLDERS.get(layout, 'not used')).resolve(), Path(name))
    else:
        cfg = load_config(str(ROOT / 'configs' / FAMILIES[name]))
        cfg.work_dir, cfg.model.backbone.init_cfg = name, None
        cfg.train_dataloader.update(pin_memory=True)
    shorten(cfg, batches=5 if rehearse else 30)
    cfg.optim_wrapper.type, cfg.channels_last = 'AmpOptimWrapper', not rehearse  # as --amp does
    if cfg.train_dataloader.get('sampler', {}).get('warmup'):
        cfg.train_dataloader.sampler.warmup = 0  # so that the graph is in the one epoch
    for hook in cfg.custom_hooks:
        if hook.type == 'PseudoLabelHook':
            hook.clustering.update(k1=5, k2=2, min_samples=2)  # few images, of an untrained network
    return cfg


def train(name: str, rehearse: bool) -> dict[str, Any]:
    """Trains an epoch and gives its numbers."""
    return trained(name, rehearse)[1]


def trained(name: str, rehearse: bool, **options: Any) -> tuple[Runner, dict[str, Any]]:
    """Trains an epoch with some options of the config; gives the runner too."""
    cfg = config_of(name, rehearse)
    cfg.merge_from_dict(options)
    runner = RUNNERS.get(cfg.runner_type).from_cfg(cfg)
    hook = StepHook(on_gpu=not rehearse)
    runner.register_hook(hook)
    runner.train()
    loss = runner.message_hub.get_scalar('train/loss')
    numbers = {
        'ms/step': round(hook.milliseconds, 1),
        'images/step': cfg.train_dataloader.batch_size,
        'loss': f'{loss.data[0][0]:.3f} -> {loss.current():.3f}',
    }
    if not rehearse:
        numbers['waits/step'] = f'{median(hook.waits):g} (most {max(hook.waits)})'
        numbers['waits at'] = ', '.join(sorted(hook.places)) or 'none'
        numbers['GiB'] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return runner, numbers
