# Copyright (c) mmreid contributors. All rights reserved.
"""Small trainings, one for each kind of state that a checkpoint must hold: their data and configs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from test_tools.test_search_resume import write_search
from test_tools.tool_runs import DROPOUT, write_config
from tiny_config import tiny_config
from tiny_data import repaint, write_market, write_styles

FAULTS = 'benchmarks.crash.crash_faults'
BEST = dict(save_best='market1501/mAP', rule='greater')
HOOKS = [dict(type='EpochSeedHook'), dict(type='SyncNormHook')]


@dataclass(frozen=True)
class Family:
    """A small training.

    Args:
        name (str): Its name.
        write (Callable): Writes its config from the file, the folder of the data, and a work dir.
        ranks (int): How many processes train it. Defaults to 1.
    """

    name: str
    write: Callable[[Path, Path, Path], object]
    ranks: int = 1

    def write_config(self, path: Path, data: Path, work_dir: Path) -> None:
        """Writes the config, which also loads the module that lets the training fail."""
        self.write(path, data, work_dir)
        path.write_text(f"{path.read_text()}\ncustom_imports['imports'].append('{FAULTS}')\n")


def write_data(folder: Path) -> Path:
    """Draws what the families train on.

    Args:
        folder (Path): Where to; what is there already is kept.

    Returns:
        Path: The folder.
    """
    if not (folder / 'done').exists():
        repaint(write_market(folder / 'market'))
        write_market(folder / 'source', num_train=4, num_test=1, images=1)
        write_market(folder / 'target', num_train=5, num_test=2, images=1)
        write_styles(dict(type='Market1501', data_root=str(folder / 'target')))
        (folder / 'done').touch()
    return folder


def _write_plain(path: Path, data: Path, work_dir: Path) -> None:
    changes = dict(
        model=DROPOUT,
        train_cfg=dict(val_interval=1),
        custom_hooks=HOOKS,
        default_hooks=dict(checkpoint=dict(max_keep_ckpts=2, **BEST)),
    )
    write_config(path, data / 'market', work_dir, **changes)


def _write_ema(path: Path, data: Path, work_dir: Path) -> None:
    changes = dict(
        train_dataloader=dict(num_workers=0),
        train_cfg=dict(val_interval=1),
        custom_hooks=[*HOOKS, dict(type='EMAHook', momentum=0.1)],
        default_hooks=dict(checkpoint=dict(max_keep_ckpts=2, **BEST)),
    )
    write_config(path, data / 'market', work_dir, **changes)


def _write_memory(path: Path, data: Path, work_dir: Path, sharded: bool = False) -> None:
    cfg = tiny_config('ecn/ecn_resnet50_1xb256-60e_msmt2market-256x128.py', data / 'target', work_dir)
    cfg.pop('experiment_name')
    source, target = cfg.train_dataloader.dataset.datasets
    source.update(type='Market1501', data_root=str(data / 'source'))
    target.data_root = str(data / 'target')
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=4, val_interval=2)
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=2)
    cfg.default_hooks.logger.interval = 1
    cfg.model.head.invariance.update(neighbor_epoch=1, neighbors=dict(k=3))
    if sharded:
        cfg.model.head.memory.sharded = True
        cfg.train_dataloader.batch_size = 4
        for part in cfg.train_dataloader.batch_sampler.parts:
            part.batch_size = 2
    cfg.dump(path)


def _write_sharded(path: Path, data: Path, work_dir: Path) -> None:
    _write_memory(path, data, work_dir, sharded=True)


def _write_search(path: Path, data: Path, work_dir: Path) -> None:
    write_search(path, work_dir)


FAMILIES = {
    family.name: family
    for family in (
        Family('plain', _write_plain),
        Family('ema', _write_ema),
        Family('memory', _write_memory),
        Family('sharded', _write_sharded, ranks=2),
        Family('search', _write_search),
    )
}
