# Copyright (c) mmreid contributors. All rights reserved.
"""The batches that the architecture of a search is judged by."""

import copy
from collections.abc import Iterator

from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader

# Keeps the batches of the architecture steps from showing the identities that the weights have just seen.
ARCH_SEED_OFFSET = 104_729


def build_arch_dataloader(runner: Runner, arch_dataloader: DataLoader | dict) -> DataLoader:
    """Builds the loader of the architecture steps.

    Args:
        runner (Runner): The runner of the search.
        arch_dataloader (DataLoader | dict): What it differs in from ``train_dataloader`` of the config.

    Returns:
        DataLoader: It.
    """
    if isinstance(arch_dataloader, DataLoader):
        return arch_dataloader
    base = runner.cfg.get('train_dataloader')
    merged = Config(dict(loader=copy.deepcopy(base) if isinstance(base, dict) else {}))
    merged.merge_from_dict(dict(loader=copy.deepcopy(arch_dataloader)))
    return runner.build_dataloader(merged.loader, seed=runner.seed)


def arch_batches(loader: DataLoader, epoch: int, passes: int, seed: int) -> Iterator[dict]:
    """Yields the batches of an epoch, which depend on nothing but the arguments.

    Args:
        loader (DataLoader): The loader of the architecture steps.
        epoch (int): The epoch.
        passes (int): How often the loader begins anew in an epoch, in another order each time.
        seed (int): Seed of the run.

    Yields:
        dict: A batch.
    """
    samplers = [loader.sampler, getattr(loader.batch_sampler, 'sampler', None)]
    for number in range(passes):
        for sampler in samplers:
            if hasattr(sampler, 'seed'):
                sampler.seed = seed + ARCH_SEED_OFFSET
            if hasattr(sampler, 'set_epoch'):
                sampler.set_epoch(epoch * passes + number)
        yield from loader
