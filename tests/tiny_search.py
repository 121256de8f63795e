# Copyright (c) mmreid contributors. All rights reserved.
"""A network with frozen random convolutions in which infrared images differ at one known depth, and its search."""

import copy
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmreid.datasets import BaseReIDDataset
from mmreid.engine import ReIDRunner
from mmreid.models import BranchBN2d
from mmreid.registry import DATASETS, MODELS, TRANSFORMS

SIZE = (12, 6)


@TRANSFORMS.register_module()
class DrawPlanted:
    """Draws the image that a record describes: a pattern of its identity, noise, and a mark of its true modality.

    Args:
        noise (float): Standard deviation of the noise; that of the pattern is 1. Defaults to 0.3.
    """

    def __init__(self, noise: float = 0.3) -> None:
        self.noise = noise

    def __call__(self, record: dict) -> dict:
        pattern = np.random.default_rng(record['pid']).normal(size=(*SIZE, 2))
        own = np.random.default_rng([record['pid'], record['index']]).normal(size=(*SIZE, 2))
        mark = np.full((*SIZE, 1), float(record['is_infrared']))
        image = np.concatenate([pattern + self.noise * own, mark], axis=2).astype(np.float32)
        return dict(record, img=image, img_shape=SIZE, ori_shape=SIZE)


@DATASETS.register_module()
class PlantedImages(BaseReIDDataset):
    """Images that exist in memory only.

    Args:
        num_ids (int): Identities.
        images (int): Images of each identity and modality.
        shuffled (int | None): Seed that the modality labels are shuffled with inside each identity; None leaves them.
        cached (bool): Draw each image once. Defaults to True.
    """

    METAINFO = dict(dataset_name='planted')

    def __init__(
        self, num_ids: int = 12, images: int = 12, shuffled: int | None = None, cached: bool = True, **kwargs
    ) -> None:
        self.num_ids, self.images, self.shuffled, self.cached = num_ids, images, shuffled, cached
        self.packed: dict[int, dict] = {}
        super().__init__(data_root='', **kwargs)

    def prepare_data(self, idx: int) -> dict:
        if idx not in self.packed or not self.cached:
            self.packed[idx] = super().prepare_data(idx)
        return self.packed[idx]

    def parse(self) -> list[dict]:
        records = []
        rng = np.random.default_rng(self.shuffled)
        for pid in range(self.num_ids):
            truth = np.arange(2 * self.images) >= self.images
            labels = truth if self.shuffled is None else rng.permutation(truth)
            for index, (infrared, label) in enumerate(zip(truth.tolist(), labels.tolist(), strict=True)):
                records.append(
                    dict(
                        img_path=f'{pid}_{index}.bmp', pid=pid, camid=int(label), split='train', index=index,
                        modality=('visible', 'infrared')[label], is_infrared=infrared,
                    )
                )  # fmt: skip
        return records


@MODELS.register_module()
class PlantedNet(BaseModule):
    """Frozen random convolutions with searched norms; before one of them the infrared images get a gain and a level.

    Args:
        depth (int): Number of convolutions.
        planted (int | None): Which norm the difference is planted before; None plants none. Defaults to 1.
        channels (int): Width.
        strength (float): How large the difference is.
    """

    def __init__(self, depth: int = 4, planted: int | None = 1, channels: int = 16, strength: float = 1.0) -> None:
        super().__init__()
        self.planted = planted
        self.convs = nn.ModuleList(nn.Conv2d(channels if i else 2, channels, 3, bias=False) for i in range(depth))
        self.convs.requires_grad_(False)
        self.norms = nn.ModuleList(BranchBN2d(channels) for _ in range(depth))
        self.register_buffer('gain', torch.exp(strength * 0.5 * torch.randn(channels)))
        self.register_buffer('level', strength * torch.randn(channels))

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        infrared = inputs[:, 2, :1, :1, None].bool()
        x = inputs[:, :2]
        for place, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = conv(F.pad(x, (1, 1, 1, 1)))
            if place == self.planted:
                gain, level = self.gain[:, None, None], self.level[:, None, None]
                x = torch.where(infrared, x * gain + level * x.std(), x)
            x = F.relu(norm(x))
        return (x,)


def search_config(work_dir: Path | str, **changes) -> Config:
    """Gives the config of a search of a few seconds.

    Args:
        work_dir (Path | str): Where results go.
        **changes: Sections to merge into it.

    Returns:
        Config: The config.
    """
    pipeline = [dict(type='DrawPlanted'), dict(type='PackReIDInputs')]
    cfg = Config(
        dict(
            default_scope='mmreid',
            work_dir=str(work_dir),
            experiment_name=uuid.uuid4().hex,
            log_level='WARNING',
            randomness=dict(seed=0),
            model=dict(
                type='CrossModalReID',
                data_preprocessor=dict(mean=(0, 0, 0), std=(1, 1, 1), to_rgb=False),
                backbone=dict(type='PlantedNet'),
                neck=dict(type='BNNeck', in_channels=16),
                head=dict(type='CrossModalHead', in_channels=16, weight_losses=('ce', 'triplet')),
                mutator=dict(type='BNMutator'),
            ),
            train_dataloader=dict(
                batch_size=64,
                num_workers=0,
                sampler=dict(type='RandomIdentitySampler'),
                batch_sampler=dict(
                    type='IdentityBatchSampler',
                    instance_sampler=dict(type='CrossModalityInstanceSampler', num_instances=4),
                ),
                dataset=dict(type='ImageSplit', part=0, dataset=dict(type='PlantedImages', pipeline=pipeline)),
            ),
            train_cfg=dict(
                type='ArchSearchLoop',
                max_epochs=4,
                warmup_epochs=1,
                arch_dataloader=dict(dataset=dict(part=1)),
            ),
            optim_wrapper=dict(
                constructor='MultiOptimWrapperConstructor',
                weights=dict(optimizer=dict(type='Adam', lr=1e-2, betas=(0.5, 0.999), weight_decay=5e-4)),
                arch=dict(
                    optimizer=dict(type='Adam', lr=1e-2, betas=(0.5, 0.999), weight_decay=5e-4),
                    modules=['mutator'],
                    clip_grad=dict(max_norm=5),
                ),
            ),
            default_hooks=dict(
                checkpoint=dict(type='SafeCheckpointHook', interval=-1, save_last=False),
                logger=dict(type='LoggerHook', interval=1000),
            ),
            custom_hooks=[dict(type='EpochSeedHook')],
        )
    )
    cfg.merge_from_dict(copy.deepcopy(changes))  # merging takes _delete_ out of what it is given
    return cfg


def build_search(work_dir: Path | str, **changes) -> ReIDRunner:
    """Builds the runner of :func:`search_config`."""
    return ReIDRunner.from_cfg(search_config(work_dir, **changes))


def short_search_config(work_dir: Path | str, **changes) -> Config:
    """Gives the config of a search by short trainings, among 16 architectures of four norms.

    Args:
        work_dir (Path | str): Where results go.
        **changes: Sections to merge into it.

    Returns:
        Config: The config.
    """
    cfg = search_config(work_dir)
    del cfg.model['mutator'], cfg.model.head['weight_losses']
    images = cfg.train_dataloader.dataset.dataset
    cfg.merge_from_dict(
        dict(
            custom_imports=dict(imports=['tiny_search']),
            train_dataloader=dict(
                sampler=dict(batches_per_epoch=5),
                dataset=dict(_delete_=True, type='IdentitySplit', part='train', dataset=images),
            ),
            val_dataloader=dict(
                batch_size=64,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dict(type='IdentitySplit', part='held_out', dataset=images),
            ),
            val_cfg=dict(type='ReIDValLoop'),
            val_evaluator=dict(type='RegDBMetric'),
            optim_wrapper=dict(
                _delete_=True, optimizer=dict(type='Adam', lr=1e-2, betas=(0.5, 0.999), weight_decay=5e-4)
            ),
            train_cfg=dict(
                _delete_=True,
                type='ShortTrainingSearchLoop',
                max_epochs=20,
                blocks='norm',
                max_trainings=10,
                rounds=[dict(epochs=4, folds=1, new=16), dict(epochs=8, folds=2, keep=4)],
            ),
        )
    )
    cfg.merge_from_dict(copy.deepcopy(changes))
    return cfg


class InThisProcess:
    """Does the jobs of a ``SideProcess`` here, which saves its start."""

    def __init__(self, job: Callable) -> None:
        self.job = job

    def __enter__(self) -> Callable:
        return self.job

    def __exit__(self, *_) -> None:
        pass
