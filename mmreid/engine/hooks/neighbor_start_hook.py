# Copyright (c) mmreid contributors. All rights reserved.
"""Lets the neighbors of ECN begin once most of them would be right."""

import numpy as np
import torch
from mmengine.hooks import Hook

from mmreid.datasets import BaseReIDDataset
from mmreid.engine.features.embeddings import extract_embeddings
from mmreid.engine.features.extraction import testing_pipeline
from mmreid.evaluation.functional.neighbor_precision import rate_nearest
from mmreid.models.heads import InvarianceHead
from mmreid.models.heads.target_invariance import TargetInvariance
from mmreid.models.memories import ExemplarMemory
from mmreid.registry import DATASETS, HOOKS
from mmreid.utils.unwrap_model import unwrap_model

from .sync_norm_hook import sync_norm_stats

STARTED = 'neighbors_started'


@HOOKS.register_module()
class NeighborStartHook(Hook):
    """Starts the neighbors of :class:`InvarianceHead` at the epoch from which enough of them would be right.

    Before each epoch from ``neighbor_epoch`` on, the images of labeled people who are not trained on go through the
    network with the test pipeline, and the k nearest of each image among them are compared with its identity. Once the
    fraction of right ones reaches ``model.head.invariance.neighbor_precision``, neighbors are used to the end of the
    run. The target's identities are not read. Checkpoints hold whether neighbors have started; norms and random states
    do not change.

    Fewer people make neighbors easier to find, so hold out as many images as the target has where that is possible.

    Args:
        dataset (dict): Config of the people, e.g. ``dict(type='IdentitySplit', part='held_out', dataset=...)``, where
            training has the other part.
        k (int): Nearest images, the own one excluded. Defaults to 5: ECN's 6 minus the own slot.
        pipeline (list[dict], optional): Transforms of an image. Defaults to None: those of the validation, or else of
            the test.
        batch_size (int): Images per batch and rank. Defaults to 128.
        num_workers (int, optional): Processes that load images. Defaults to None: as many as in training.

    Raises:
        ValueError: If a number is not positive.
    """

    priority = 'NORMAL'  # after MemoryUpdateHook, which counts the first epoch with neighbors

    def __init__(
        self,
        dataset: dict,
        k: int = 5,
        pipeline: list[dict] | None = None,
        batch_size: int = 128,
        num_workers: int | None = None,
    ) -> None:
        if min(k, batch_size) < 1:
            raise ValueError(f'k={k} and batch_size={batch_size} of NeighborStartHook must be at least 1')
        self.dataset_cfg = dataset
        self.k = k
        self.pipeline = pipeline
        self.batch_size = batch_size
        self.num_workers = num_workers

    def before_train(self, runner) -> None:
        """Builds the data set, and finds out whether a resumed run has started them."""
        invariance = _invariance(runner)
        self._dataset = DATASETS.build(self.dataset_cfg)
        self._dataset.full_init()
        _check_people(self._dataset, runner.train_dataloader.dataset)
        self._compose = testing_pipeline(self.pipeline, runner.cfg, type(self).__name__)
        if runner.epoch and runner.message_hub.runtime_info.get(STARTED):
            invariance.waiting = False

    def before_train_epoch(self, runner) -> None:
        """Measures the neighbors until they start."""
        invariance = _invariance(runner)
        if not invariance.waiting or runner.epoch < invariance.first_neighbor_epoch:
            return
        precision, wanted = self._measure(runner), 100 * invariance.neighbor_precision
        invariance.waiting = precision < wanted
        runner.message_hub.update_info(STARTED, not invariance.waiting)
        runner.visualizer.add_scalars({'neighbors/start_precision': precision}, step=runner.epoch + 1)
        runner.logger.info(
            f'{precision:.1f} % of the {self.k} nearest of people not trained on are right: in epoch '
            f'{runner.epoch + 1} neighbors {"wait for" if invariance.waiting else "start, as from"} {wanted:g} %'
        )

    def _measure(self, runner) -> float:
        model, dataset = unwrap_model(runner.model), self._dataset
        sync_norm_stats(model)
        workers = runner.train_loop.dataloader.num_workers if self.num_workers is None else self.num_workers
        images = np.arange(len(dataset))
        feats = extract_embeddings(model, dataset, images, 'source', self._compose, self.batch_size, workers)
        memory = ExemplarMemory(feat_dim=feats.shape[1])
        memory.allocate(len(feats), feats.device)
        memory.update(feats, torch.from_numpy(images), alpha=0.0)
        labels = torch.from_numpy(dataset.pids).to(feats.device)
        found = rate_nearest(memory, torch.arange(len(feats), device=feats.device), labels, self.k)
        return found.get('knn_precision', 0.0)


def _invariance(runner) -> TargetInvariance:
    head = unwrap_model(runner.model).head
    invariance = head.invariance if isinstance(head, InvarianceHead) else None
    if invariance is None or invariance.neighbors is None or invariance.neighbor_precision is None:
        raise ValueError(
            'NeighborStartHook found no neighbors that wait for it; set model.head.invariance.neighbor_precision, e.g. '
            'to 0.5, or leave the hook out'
        )
    return invariance


def _check_people(held_out: BaseReIDDataset, trained: BaseReIDDataset) -> None:
    """Refuses people who are trained on: neighbors of learned people are always right."""
    known = {trained.get_data_info(int(index))['img_path'] for index in trained.images_of('source')}
    shared = [
        path for path in (held_out.get_data_info(index)['img_path'] for index in range(len(held_out))) if path in known
    ]
    if shared:
        raise ValueError(
            f'{len(shared)} of the {len(held_out)} images of NeighborStartHook are trained on, e.g. {shared[0]}; hold '
            "people out: type='IdentitySplit' with part='train' in train_dataloader and part='held_out' in the hook"
        )
