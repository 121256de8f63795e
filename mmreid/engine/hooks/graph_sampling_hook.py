# Copyright (c) mmreid contributors. All rights reserved.
"""Builds the graph of the classes that the model confuses, before each epoch."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, autocast

from mmreid.datasets.samplers import DomainView, GraphSampler, samplers_of
from mmreid.engine.features.class_graph import nearest_classes, pick_images
from mmreid.engine.features.extraction import as_in_testing, extract_features, testing_pipeline
from mmreid.engine.search.arch_search_loop import ArchSearchLoop
from mmreid.registry import HOOKS
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.unwrap_model import unwrap_model

from .sync_norm_hook import sync_norm_stats

DTYPES = dict(float32=torch.float32, float16=torch.float16)
IMAGE_STREAM = 2  # the samplers' generators are 0 and 1


@HOOKS.register_module()
class GraphSamplingHook(Hook):
    """Builds the graph of classes for every :class:`GraphSampler` before each epoch (Liao and Shao, CVPR 2022).

    One image of each class (with two modalities, one of each) goes through the model in eval mode with the test
    pipeline. The model's own matcher scores every class against every other, and the sampler gets the nearest of each.
    Ranks share the work and get the same graph, whatever their number. The hook averages running statistics over ranks
    first, and leaves the model and all random states as they were.

    The graph depends on the weights at the start of the epoch, the seed and the epoch. Checkpoints hold the current
    graph, so a resumed run continues with it.

    Args:
        interval (int): Epochs between two graphs. Defaults to 1.
        pipeline (list[dict], optional): Transforms of an image. Defaults to None: those of the validation set, or else
            of the test set.
        batch_size (int): Images per batch and rank. Defaults to 128.
        num_workers (int, optional): Processes that load images. Defaults to None: as many as in training.
        fp16 (bool): Extract under autocast. Defaults to False.
        feature_dtype (str, optional): ``'float16'`` or ``'float32'``, the type to keep features in; feature maps of
            8,000 classes take 0.8 GB in float32. Defaults to None: the model's own.
        save_table (bool): Write each graph into ``graphs/epoch_<n>.npz`` of the work dir: ``pids`` (C,),
            ``neighbors`` (C, P - 1) as pids, ``scores`` likewise, ``images`` (C, M) as indices into the training set,
            ``files`` (C, M) their paths. Defaults to False.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        interval: int = 1,
        pipeline: list[dict] | None = None,
        batch_size: int = 128,
        num_workers: int | None = None,
        fp16: bool = False,
        feature_dtype: str | None = None,
        save_table: bool = False,
    ) -> None:
        if interval < 1 or batch_size < 1:
            raise ValueError(f'interval={interval} and batch_size={batch_size} of GraphSamplingHook must be at least 1')
        if feature_dtype is not None and feature_dtype not in DTYPES:
            raise ValueError(
                f"feature_dtype='{feature_dtype}' of GraphSamplingHook is unknown; use {', '.join(DTYPES)}"
            )
        self.interval = interval
        self.pipeline = pipeline
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.fp16 = fp16
        self.feature_dtype = DTYPES[feature_dtype] if feature_dtype else None
        self.save_table = save_table

    def before_train(self, runner) -> None:
        """Finds the samplers and the pipeline; restores the graphs of a resumed run."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ValueError(
                'GraphSamplingHook builds graphs before epochs, which an iteration-based loop does not have; use '
                "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=...)"
            )
        self.samplers = graph_samplers(runner.train_loop)
        if not self.samplers:
            raise ValueError(
                'GraphSamplingHook found no sampler that takes a graph; use '
                "train_dataloader = dict(sampler=dict(type='GraphIdentitySampler'), ...), or remove the hook"
            )
        for sampler in self.samplers:
            if sampler.warmup >= runner.max_epochs:
                runner.logger.warning(
                    f'warmup={sampler.warmup} of {type(sampler).__name__} is not below max_epochs={runner.max_epochs}: '
                    'no graph is built, and all batches are of random identities, as in a control experiment; if you '
                    'did not mean that, lower train_dataloader.sampler.warmup'
                )
        self._compose = testing_pipeline(self.pipeline, runner.cfg, type(self).__name__)
        for place, sampler in enumerate(self.samplers):
            known = runner.message_hub.runtime_info.get(_key('graph', place))
            if runner.epoch and _is_graph(known, len(sampler.classes)):
                sampler.neighbors = known.numpy().astype(np.int64)
            known = runner.message_hub.runtime_info.get(_key('stream', place))
            if runner.epoch and known is not None:
                sampler.load_state(known)

    def before_train_epoch(self, runner) -> None:
        """Builds the graphs of the epoch, and saves them for a resumed run."""
        for place, sampler in enumerate(self.samplers):
            age = runner.epoch - sampler.warmup
            if age < 0:
                continue
            neighbors = sampler.neighbors
            fits = neighbors is not None and neighbors.shape == (len(sampler.classes), sampler.num_neighbors)
            if age % self.interval == 0 or not fits:
                neighbors = self._build(runner, sampler, place)
                runner.message_hub.update_info(_key('graph', place), torch.from_numpy(neighbors.astype(np.int32)))
            sampler.set_neighbors(neighbors)
            state = sampler.state()
            if state is not None:
                runner.message_hub.update_info(_key('stream', place), state)

    def _build(self, runner, sampler: GraphSampler, place: int) -> np.ndarray:
        """Builds the graph of a sampler: places in ``sampler.classes``, shape (C, ``sampler.num_neighbors``), int64."""
        start = time.perf_counter()
        model = unwrap_model(runner.model)
        sync_norm_stats(model)
        images = self._pick(runner, sampler, place)

        def extract(batch: dict) -> torch.Tensor:
            data = model.data_preprocessor(batch, False)
            with autocast(enabled=self.fp16):
                return model.extract_feat(**data)

        with as_in_testing(model):
            feats = extract_features(
                extract, sampler.dataset, images.reshape(-1), self._compose, self.batch_size,
                num_workers=self._workers(runner), dtype=self.feature_dtype,
            )  # fmt: skip
            extracted = time.perf_counter()
            neighbors, scores = nearest_classes(
                feats.view(*images.shape, *feats.shape[1:]), model.matcher, sampler.num_neighbors
            )
        done = time.perf_counter()
        runner.logger.info(
            f'graph of epoch {runner.epoch + 1}: {len(images)} classes x {sampler.num_neighbors} neighbors from '
            f'{images.size} images in {done - start:.1f} s ({done - extracted:.1f} s of it matching)'
        )
        if self.save_table and is_main_process():
            self._save(runner, sampler, place, images, neighbors.numpy(), scores.numpy())
        return neighbors.numpy()

    def _pick(self, runner, sampler: GraphSampler, place: int) -> np.ndarray:
        chosen = sampler.representatives()
        if chosen is not None:
            images = chosen[:, None]
        else:
            rng = np.random.default_rng([runner.seed, runner.epoch, IMAGE_STREAM, place])
            images = pick_images(sampler.dataset, sampler.classes, rng)
        images = torch.from_numpy(images)
        broadcast(images)  # each rank may have a seed of its own
        return images.numpy()

    def _workers(self, runner) -> int:
        return runner.train_loop.dataloader.num_workers if self.num_workers is None else self.num_workers

    def _save(self, runner, sampler, place: int, images: np.ndarray, neighbors: np.ndarray, scores: np.ndarray) -> None:
        dataset = sampler.dataset
        pid_of = np.zeros(int(sampler.classes.max()) + 1, dtype=np.int64)
        pid_of[dataset.gt_labels] = dataset.pids
        pids = pid_of[sampler.classes]
        if isinstance(dataset, DomainView):
            images = dataset.indices[images]
        whole = dataset.dataset if isinstance(dataset, DomainView) else dataset
        files = np.array([[whole.get_data_info(int(image))['img_path'] for image in row] for row in images])
        table: dict[str, Any] = dict(pids=pids, neighbors=pids[neighbors], scores=scores, images=images, files=files)
        folder = Path(runner.work_dir) / 'graphs'
        folder.mkdir(parents=True, exist_ok=True)
        name = f'epoch_{runner.epoch + 1}{f"_{place}" if place else ""}.npz'
        atomic_write(folder / name, lambda file: np.savez(file, **table))


def graph_samplers(train_loop: EpochBasedTrainLoop) -> list[GraphSampler]:
    """Finds the graph samplers in all training dataloaders of a loop."""
    loaders = [train_loop.dataloader]
    if isinstance(train_loop, ArchSearchLoop) and train_loop.arch_dataloader is not None:
        loaders.append(train_loop.arch_dataloader)
    return [sampler for loader in loaders for sampler in samplers_of(loader) if isinstance(sampler, GraphSampler)]


def _is_graph(known: Any, num_classes: int) -> bool:
    """Whether a checkpoint holds a graph of this many classes; otherwise the hook builds one."""
    is_table = isinstance(known, torch.Tensor) and known.ndim == 2 and known.dtype == torch.int32
    return is_table and len(known) == num_classes and bool(((known >= 0) & (known < num_classes)).all())


def _key(what: str, place: int) -> str:
    return f'graph_sampling_{what}_{place}'
