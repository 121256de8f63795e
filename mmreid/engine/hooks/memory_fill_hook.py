# Copyright (c) mmreid contributors. All rights reserved.
"""Fills an exemplar memory before the first step."""

import torch
from mmengine.hooks import Hook

from mmreid.engine.features.embeddings import extract_embeddings
from mmreid.engine.features.extraction import testing_pipeline
from mmreid.models.memories import ExemplarMemory
from mmreid.registry import HOOKS
from mmreid.utils.unwrap_model import unwrap_model

from .memory_access import memory_head


@HOOKS.register_module()
class MemoryFillHook(Hook):
    """Fills the memory with the features of all images before training, in one pass over them.

    In the published method the memory starts empty: a slot is zero until its image is first seen, which takes more than
    one epoch if the target set is larger than an epoch. Needs ``MemoryUpdateHook``, which makes the slots. With learned
    neighbors, the memory of the source is filled too. A resumed run keeps its memory. Norms and random states do not
    change.

    Args:
        pipeline (list[dict], optional): Transforms of an image. Defaults to None: those of the validation, or else of
            the test.
        batch_size (int): Images per batch and rank. Defaults to 128.
        num_workers (int, optional): Processes that load images. Defaults to None: as many as in training.

    Raises:
        ValueError: If the batch size is not positive.
    """

    # The priority is NORMAL, so the checks of MemoryUpdateHook come first.

    def __init__(
        self, pipeline: list[dict] | None = None, batch_size: int = 128, num_workers: int | None = None
    ) -> None:
        if batch_size < 1:
            raise ValueError(f'batch_size={batch_size} of MemoryFillHook must be at least 1')
        self.pipeline = pipeline
        self.batch_size = batch_size
        self.num_workers = num_workers

    def before_train(self, runner) -> None:
        """Fills the memories, unless the run is resumed."""
        memories = memory_head(runner).memories()
        if 'target' not in memories:
            raise ValueError('MemoryFillHook found no exemplar memory in model.head.memory; leave the hook out')
        if runner.iter:
            return
        for domain, memory in memories.items():
            self._fill(runner, memory, domain)

    def _fill(self, runner, memory: ExemplarMemory, domain: str) -> None:
        model, loader = unwrap_model(runner.model), runner.train_dataloader
        feats = extract_embeddings(
            model,
            loader.dataset,
            loader.dataset.images_of(domain),
            domain,
            testing_pipeline(self.pipeline, runner.cfg, type(self).__name__),
            self.batch_size,
            loader.num_workers if self.num_workers is None else self.num_workers,
        )
        memory.update(feats, torch.arange(len(feats)), alpha=0.0)
        runner.logger.info(f'filled the memory with the features of {len(feats)} {domain} images')
