# Copyright (c) mmreid contributors. All rights reserved.
"""Makes the training of a config short."""

from collections.abc import Iterator

from mmengine.config import Config


def shorten(cfg: Config, batches: int, epochs: int = 1) -> None:
    """Leaves a few batches and epochs of a training, without validation and without a warm-up of a search.

    Args:
        cfg (Config): Changed in place.
        batches (int): Batches of an epoch, unless all images are drawn once.
        epochs (int): Number of epochs. Defaults to 1.
    """
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.train_cfg.max_epochs = epochs
    if 'warmup_epochs' in cfg.train_cfg:
        cfg.train_cfg.warmup_epochs = 0
    for entry in _drawings(cfg.train_dataloader):
        if entry.get('sampler', {'type': 'DefaultSampler'})['type'] != 'DefaultSampler':
            entry.sampler.batches_per_epoch = batches
        if 'batches_per_epoch' in entry:
            entry.batches_per_epoch = batches


def _drawings(entry: dict) -> Iterator[dict]:
    """Yields a dataloader, its batch sampler, the parts of that, and so on."""
    yield entry
    for inner in (entry.get('batch_sampler'), *entry.get('parts', ())):
        if inner:
            yield from _drawings(inner)
