# Copyright (c) mmreid contributors. All rights reserved.
"""A small run under graph sampling on images that exist in memory only."""

import copy
import uuid
from contextlib import AbstractContextManager
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmreid.datasets import BaseReIDDataset
from mmreid.engine import ReIDRunner
from mmreid.registry import DATASETS, HOOKS, MODELS, TRANSFORMS

SIZE = (8, 4)


@TRANSFORMS.register_module()
class DrawPattern:
    """Draws a pattern of the identity and noise of the image; the training adds noise of its own.

    Args:
        augment (bool): Whether to add it. Defaults to False.
    """

    def __init__(self, augment: bool = False) -> None:
        self.augment = augment

    def __call__(self, record: dict) -> dict:
        pattern = np.random.default_rng(record['pid']).normal(size=(*SIZE, 3))
        own = np.random.default_rng([record['pid'], record['index']]).normal(size=(*SIZE, 3))
        image = pattern + 0.3 * own + (np.random.normal(size=(*SIZE, 3)) if self.augment else 0)
        return dict(record, img=image.astype(np.float32), img_shape=SIZE, ori_shape=SIZE)


@DATASETS.register_module()
class PatternImages(BaseReIDDataset):
    """Identities of different numbers of images.

    Args:
        num_ids (int): Identities.
        two_modalities (bool): Whether half of the images are infrared.
    """

    METAINFO = dict(dataset_name='patterns')

    def __init__(self, num_ids: int = 9, two_modalities: bool = False, **kwargs) -> None:
        self.num_ids, self.two_modalities = num_ids, two_modalities
        super().__init__(data_root='', serialize_data=False, **kwargs)  # which collects garbage, for seconds

    def parse(self) -> list[dict]:
        records = []
        for pid in range(self.num_ids):
            for index in range(4 + pid % 3):
                modality = ('visible', 'infrared')[index % 2] if self.two_modalities else None
                records.append(
                    dict(
                        img_path=f'{pid}_{index}.bmp', pid=100 + pid, camid=index % 2, split='train', index=index,
                        modality=modality,
                    )
                )  # fmt: skip
        return records


@MODELS.register_module()
class TinyNet(BaseModule):
    """Convolution, norm, dropout.

    Args:
        norm_cfg (dict, optional): Norm of 8 channels. Defaults to that of ``norm``.
        norm (str): ``'batch'`` or ``'group'``. Defaults to ``'batch'``.
        drop (float): Dropout. Defaults to 0.2.
    """

    def __init__(self, norm_cfg: dict | None = None, norm: str = 'batch', drop: float = 0.2) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        plain = nn.BatchNorm2d(8) if norm == 'batch' else nn.GroupNorm(2, 8)
        self.norm = MODELS.build(dict(norm_cfg, num_features=8)) if norm_cfg else plain
        self.drop = nn.Dropout(drop)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        return (self.drop(self.norm(self.conv(inputs)).relu()),)


@MODELS.register_module()
class MapMatcher(BaseModule):
    """Scores two maps by the best match of each place, both ways; the plainest kind of matcher."""

    def forward(self, query: Tensor, gallery: Tensor) -> Tensor:
        products = torch.einsum('qcr,gcs->qgrs', query.flatten(2), gallery.flatten(2))
        return products.amax(2).mean(2) + products.amax(3).mean(2)


@HOOKS.register_module()
class RecordHook(Hook):
    """Keeps the graph and the batches of each epoch."""

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self.graphs: list = []
        self.batches: list[list[list[int]]] = []

    def before_train_epoch(self, runner) -> None:
        sampler = runner.train_dataloader.batch_sampler.sampler
        self.graphs.append(None if sampler.neighbors is None else sampler.neighbors.copy())
        self.batches.append([])

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.batches[-1].append([sample.sample_idx for sample in data_batch['data_samples']])


def graph_config(work_dir: Path | str, hook: dict | None = None, **changes) -> Config:
    """Gives the config of a run of two epochs, nine anchors each.

    Args:
        work_dir (Path | str): Where results go.
        hook (dict, optional): Arguments of the hook.
        **changes: Sections to merge into it.

    Returns:
        Config: The config.
    """
    test_pipeline = [dict(type='DrawPattern'), dict(type='PackReIDInputs')]
    pipeline = [dict(type='DrawPattern', augment=True), dict(type='PackReIDInputs')]
    cfg = Config(
        dict(
            default_scope='mmreid',
            custom_imports=dict(imports=['mmreid.registry', 'tiny_graph'], allow_failed_imports=False),
            work_dir=str(work_dir),
            experiment_name=uuid.uuid4().hex,
            log_level='INFO',
            randomness=dict(seed=5),
            model=dict(
                type='ImageReID',
                data_preprocessor=dict(mean=(0, 0, 0), std=(1, 1, 1), to_rgb=False),
                backbone=dict(type='TinyNet'),
                neck=dict(type='BNNeck', in_channels=8),
                head=dict(
                    type='ReIDHead', in_channels=8, loss_cls=None, loss_metric=dict(type='TripletLoss', margin=None)
                ),
                test_feat='before',
            ),
            train_dataloader=dict(
                batch_size=8,
                num_workers=0,
                sampler=dict(type='GraphIdentitySampler'),
                batch_sampler=dict(
                    type='IdentityBatchSampler', instance_sampler=dict(type='KInstanceSampler', num_instances=2)
                ),
                dataset=dict(type='PatternImages', pipeline=pipeline),
            ),
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=2),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
            default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=1)),
            custom_hooks=[
                dict(type='EpochSeedHook'),
                dict(type='SyncNormHook'),
                dict(dict(type='GraphSamplingHook', pipeline=test_pipeline, batch_size=4), **(hook or {})),
                dict(type='RecordHook'),
            ],
        )
    )
    cfg.merge_from_dict(copy.deepcopy(changes))  # merging takes _delete_ out of what it is given
    return cfg


def plain_dumps() -> AbstractContextManager:
    """Leaves out the beautifying of config files, which takes longer than to train these models."""
    return mock.patch('mmengine.config.config.FormatCode', lambda text, **_: (text, True))


def build_run(work_dir: Path | str, hook: dict | None = None, **changes) -> ReIDRunner:
    """Builds the runner of :func:`graph_config`."""
    return ReIDRunner.from_cfg(graph_config(work_dir, hook, **changes))


def hook_of(runner: ReIDRunner, name: str) -> Hook:
    """Finds a hook of a runner by the name of its class."""
    return next(hook for hook in runner.hooks if type(hook).__name__ == name)
