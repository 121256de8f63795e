# Copyright (c) mmreid contributors. All rights reserved.
"""The samplers inside a dataloader."""

from typing import Any

from torch.utils.data import DataLoader, Sampler

from .multi_domain_batch_sampler import MultiDomainBatchSampler


def samplers_of(dataloader: DataLoader) -> list[Sampler]:
    """Lists the batch sampler of a dataloader and the samplers inside it.

    Args:
        dataloader (DataLoader): The dataloader.

    Returns:
        list[Sampler]: The batch sampler, the sampler it draws from, and those of the parts of a batch.
    """
    batch_sampler = dataloader.batch_sampler
    found = [batch_sampler, _sampler_inside(batch_sampler)]
    if isinstance(batch_sampler, MultiDomainBatchSampler):
        found += [inner for part in batch_sampler.parts for inner in (part.batch_sampler, part.sampler)]
    return [sampler for sampler in found if sampler is not None]


def reseed(dataloader: DataLoader, seed: int) -> None:
    """Gives the sampler of a built dataloader another seed.

    Args:
        dataloader (DataLoader): The dataloader.
        seed (int): The seed.
    """
    for sampler in _drawing(dataloader, 'seed'):
        sampler.seed = seed


def set_epoch(dataloader: DataLoader, epoch: int) -> None:
    """Tells the sampler of a dataloader the epoch, as MMEngine's loops do.

    Args:
        dataloader (DataLoader): The dataloader.
        epoch (int): The epoch, from 0.
    """
    for sampler in _drawing(dataloader, 'set_epoch'):
        sampler.set_epoch(epoch)


def _drawing(dataloader: DataLoader, attribute: str) -> list[Sampler]:
    # Torch's own samplers have neither seed nor epoch, and those that have share no base class.
    samplers = (dataloader.sampler, _sampler_inside(dataloader.batch_sampler))
    return [sampler for sampler in samplers if hasattr(sampler, attribute)]


def _sampler_inside(batch_sampler: Any) -> Sampler | None:
    # Batch samplers of torch and of other projects share no base class that declares a sampler.
    return getattr(batch_sampler, 'sampler', None)
