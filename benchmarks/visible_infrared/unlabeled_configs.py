# Copyright (c) mmreid contributors. All rights reserved.
"""The stages of ADCA, which learn the people of the other table without their labels."""

from dataclasses import dataclass
from pathlib import Path

from claims.infrared_worlds import WIDTH
from mmengine.config import Config

from mmreid.utils.config import load_config

ROOT = Path(__file__).resolve().parents[2]
STAGE_1 = 'adca/adca-stage1_resnet18_1xb96-20e_procedural-64x32.py'
STAGE_2 = 'adca/adca_resnet18_1xb96-20e_procedural-64x32.py'
EPOCHS = 10  # of each stage, half of the shipped ones


@dataclass(frozen=True)
class Stage:
    """A training.

    Attributes:
        name (str): Name in the tables.
        config (str): Shipped config.
        after (Stage, optional): Stage whose end it starts from. Defaults to None, the warm start.
    """

    name: str
    config: str
    after: 'Stage | None' = None


FIRST = Stage('ADCA, stage 1', STAGE_1)
AGAIN = Stage('ADCA, stage 1 twice', STAGE_1, after=FIRST)
STAGES = [FIRST, Stage('ADCA, stages 1 and 2', STAGE_2, after=FIRST), AGAIN]
TABLES = dict(unlabeled=STAGES)


def small_config(stage: Stage, data_root: Path, start: Path | None, seed: int) -> Config:
    """Gives a shipped config its people, its start, half of its epochs and the test of the other table.

    Args:
        stage (Stage): What to train.
        data_root (Path): The procedural people.
        start (Path, optional): The warm start, or the end of the stage before. None leaves the network random.
        seed (int): Seed of the run.

    Returns:
        Config: The config, without ``work_dir``.
    """
    cfg = load_config(str(ROOT / 'configs' / stage.config))
    assert cfg.model.backbone.base_channels == WIDTH
    if stage.after:
        cfg.load_from = str(start)
    elif start:
        cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(start), prefix='backbone')
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.num_workers = 0
        loader.dataset.data_root = str(data_root)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.train_cfg.update(max_epochs=EPOCHS, val_interval=EPOCHS)
    cfg.model.flip_test = False  # as in the test of the floors and of the other table
    cfg.test_evaluator = dict(type='SYSUMetric', mode='all', shot=1, trials=10)
    cfg.randomness = dict(seed=seed)
    cfg.channels_last = True
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=-1, save_last=True)
    return cfg
