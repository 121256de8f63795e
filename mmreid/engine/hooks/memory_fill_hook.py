# Copyright (c) mmreid contributors. All rights reserved.
"""Fills an exemplar memory before the first step."""

import torch
import torch.nn.functional as F
from mmengine.hooks import Hook

from mmreid.engine.features.extraction import as_in_testing, extract_features, testing_pipeline
from mmreid.models.memories import ExemplarMemory
from mmreid.registry import HOOKS

from .memory_access import images_of, learned_neighbors, target_memory, unwrapped


@HOOKS.register_module()
class MemoryFillHook(Hook):
    """Fills the memory with the features that the images have before the training, in one pass over them.

    Published is an empty memory, whose slots are zero until their images are first seen; of a target set larger than
    what an epoch shows that lasts longer than an epoch. Needs ``MemoryUpdateHook``, which makes the slots. With learned
    neighbors the memory of the source is filled too. A resumed run has its memory already. Norms and random states
    are afterwards what they were.

    Args:
        pipeline (list[dict], optional): What is done to an image. Defaults to None: what the validation, or else the
            test does.
        batch_size (int): Images of a batch and rank. Defaults to 128.
        num_workers (int, optional): Processes that load images. Defaults to None: as many as for training.

    Raises:
        ValueError: If the batch size is not positive.
    """

    # NORMAL: behind MemoryUpdateHook, whose checks come first.

    def __init__(
        self, pipeline: list[dict] | None = None, batch_size: int = 128, num_workers: int | None = None
    ) -> None:
        if batch_size < 1:
            raise ValueError(f'batch_size={batch_size} of MemoryFillHook must be at least 1')
        self.pipeline = pipeline
        self.batch_size = batch_size
        self.num_workers = num_workers

    def before_train(self, runner) -> None:
        """Fills the memory, unless the run is a resumed one.

        Args:
            runner (Runner): The runner of the training process.

        Raises:
            ValueError: If there is no memory, or no pipeline.
        """
        memory, neighbors = target_memory(runner.model), learned_neighbors(runner.model)
        if memory is None:
            raise ValueError('MemoryFillHook found no exemplar memory in model.head.memory; leave the hook out')
        if runner.iter:
            return
        self._fill(runner, memory, 'target')
        if neighbors is not None:
            self._fill(runner, neighbors.memory, 'source')

    def _fill(self, runner, memory: ExemplarMemory, domain: str) -> None:
        model, loader = unwrapped(runner.model), runner.train_dataloader
        pipeline = testing_pipeline(self.pipeline, runner.cfg, type(self).__name__)

        def extract(batch: dict) -> torch.Tensor:
            inputs = model.data_preprocessor(batch, False)['inputs']
            return F.normalize(model.embed(inputs, domain).after.float(), dim=1)

        with as_in_testing(model):
            feats = extract_features(
                extract,
                loader.dataset,
                images_of(loader.dataset, domain),
                pipeline,
                self.batch_size,
                num_workers=loader.num_workers if self.num_workers is None else self.num_workers,
            )
        memory.update(feats, torch.arange(len(feats), device=feats.device), alpha=0.0)
        runner.logger.info(f'filled the memory with the features of {len(feats)} {domain} images')
