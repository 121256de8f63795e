# Copyright (c) mmreid contributors. All rights reserved.
"""The batches of the architecture steps of a search."""

import copy
from collections.abc import Iterator

from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmreid.datasets.samplers import reseed, set_epoch

# So that an architecture step does not draw the identities of the weight step before it.
ARCH_SEED_OFFSET = 104_729


def build_arch_dataloader(runner: Runner, arch_dataloader: DataLoader | dict) -> DataLoader:
    """Builds the loader of the architecture steps from its differences to ``train_dataloader`` of the config."""
    if isinstance(arch_dataloader, DataLoader):
        return arch_dataloader
    base = runner.cfg.get('train_dataloader')
    merged = Config(dict(loader=copy.deepcopy(base) if isinstance(base, dict) else {}))
    merged.merge_from_dict(dict(loader=copy.deepcopy(arch_dataloader)))
    return runner.build_dataloader(merged.loader, seed=runner.seed)


def arch_batches(loader: DataLoader, epoch: int, passes: int, seed: int) -> Iterator[dict]:
    """Yields the batches of ``passes`` passes over the loader, each in another order, which only the arguments set."""
    reseed(loader, seed + ARCH_SEED_OFFSET)
    for number in range(passes):
        set_epoch(loader, epoch * passes + number)
        yield from loader
