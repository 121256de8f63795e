# Copyright (c) mmreid contributors. All rights reserved.
"""Batches that are put together from parts of different domains or modalities, e.g. source and target."""

from collections.abc import Iterator, Sequence

import numpy as np
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmreid.datasets.contract import ReIDData, require_fields
from mmreid.registry import DATA_SAMPLERS

from .domain_view import DomainView
from .reid_batch_sampler import ReIDBatchSampler
from .seeded_sampler import check_seeded


class DomainPart:
    """One part of every batch: a domain or modality with samplers of its own, written as in a dataloader config.

    Args:
        dataset (ReIDData): The whole training set.
        rank (int): This process rank.
        world_size (int): Number of ranks.
        batch_size (int): Images of the part per batch and rank.
        domain (int | Sequence[int], optional): Which domain, or several as one. Defaults to None, all.
        modality (str, optional): Which modality, ``'visible'`` or ``'infrared'``. Defaults to None, both.
        sampler (dict, optional): Config of the identity sampler. Defaults to None: images are drawn at random.
        batch_sampler (dict, optional): Config of the batch sampler. Defaults to None: ``RandomImageBatchSampler``, or
            ``IdentityBatchSampler`` where there is a ``sampler``.

    Attributes:
        view (DomainView): The images of the part.
        sampler (Sampler): The sampler inside, whose indices count in ``view``.
    """

    def __init__(
        self,
        dataset: ReIDData,
        rank: int,
        world_size: int,
        *,
        batch_size: int,
        domain: int | Sequence[int] | None = None,
        modality: str | None = None,
        sampler: dict | None = None,
        batch_sampler: dict | None = None,
    ) -> None:
        self.view = DomainView(dataset, domain, modality)
        self.batch_size = batch_size
        default = 'mmreid.RandomImageBatchSampler' if sampler is None else 'mmreid.IdentityBatchSampler'
        sampler = sampler or dict(type='mmengine.DefaultSampler', shuffle=True)
        # The seed is set when an epoch begins.
        self.sampler = DATA_SAMPLERS.build(sampler, default_args=dict(dataset=self.view, seed=0))
        try:
            self.batch_sampler = DATA_SAMPLERS.build(
                batch_sampler or dict(type=default),
                default_args=dict(sampler=self.sampler, batch_size=batch_size, rank=rank, world_size=world_size),
            )
        except ValueError as error:
            message = str(error).replace('train_dataloader.batch_size', 'its batch_size')
            raise ValueError(f'the part of {_named(domain, modality)}: {message}') from error
        if not isinstance(self.batch_sampler, ReIDBatchSampler):
            raise TypeError(
                f'a {type(self.batch_sampler).__name__} cannot make a part of a batch; use RandomImageBatchSampler or '
                'IdentityBatchSampler'
            )

    def batches(self, num_batches: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
        """Yields the part of each batch of this rank, as indices into the whole training set."""
        self.sampler.seed = seed
        self.sampler.set_epoch(epoch)
        for batch in self.batch_sampler.batches(num_batches):
            yield self.view.indices[batch]


def _named(domain: int | Sequence[int] | None, modality: str | None) -> str:
    """Describes the images of a part."""
    named = [f'domain {domain}'] if domain is not None else []
    return ' and '.join(named + ([f'{modality} images'] if modality is not None else []))


@DATA_SAMPLERS.register_module()
class MultiDomainBatchSampler(Sampler):
    """Makes batches of parts from different domains or modalities, part after part: [source | target].

    Each part is drawn by samplers of its own; once it has shown all its images, it continues in another order. What is
    drawn depends on seed and epoch only. All ranks compute the same global parts and each takes its own slice.

    Args:
        sampler (Sampler): Carries data set, seed and epoch, e.g. ``dict(type='DefaultSampler', shuffle=True)``.
        batch_size (int): Images per batch and rank, the sum over the parts.
        parts (Sequence[dict]): What to draw, see :class:`DomainPart`: ``dict(domain=0, batch_size=64)`` draws images at
            random, and ``dict(domain=0, batch_size=64, sampler=dict(type='RandomIdentitySampler'))`` P x K;
            ``modality`` may stand for ``domain``.
        length_of (int | str): Which part sets the length of an epoch: its index in ``parts``, ``'longest'`` or
            ``'shortest'``. ECN's authors take the source. Defaults to ``'longest'``.
        rank (int, optional): This process rank. Defaults to the running one.
        world_size (int, optional): Number of ranks. Defaults to the size of the running group.

    Raises:
        TypeError: If the sampler or the data set lacks what is needed.
        ValueError: If the sizes do not add up, or a part has too few images or identities.
    """

    def __init__(
        self,
        sampler: Sampler,
        batch_size: int,
        parts: Sequence[dict],
        length_of: int | str = 'longest',
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        name = type(self).__name__
        check_seeded(sampler, name)
        require_fields(sampler.dataset, name, 'gt_labels', 'domains')
        if not parts:
            raise ValueError(f'{name} needs parts, e.g. parts=[dict(domain=0, batch_size=64), ...], but got {parts!r}')
        for part in parts:
            if 'batch_size' not in part or not {'domain', 'modality'} & set(part):
                raise ValueError(
                    f'each part of {name} needs a domain or modality, and a batch_size, but one is {dict(part)}'
                )
        sizes = [part['batch_size'] for part in parts]
        if sum(sizes) != batch_size:
            raise ValueError(
                f'the parts of {name} add up to {" + ".join(map(str, sizes))} = {sum(sizes)} images, but '
                f'train_dataloader.batch_size={batch_size}; make them equal'
            )
        self.sampler = sampler
        self.batch_size = batch_size
        running_rank, running_size = get_dist_info()
        rank = running_rank if rank is None else rank
        world_size = running_size if world_size is None else world_size
        self.parts = [DomainPart(sampler.dataset, rank, world_size, **part) for part in parts]
        self._length = self._choose_length(length_of)

    def _choose_length(self, length_of: int | str) -> int:
        lengths = [len(part.batch_sampler) for part in self.parts]
        if length_of == 'longest':
            return max(lengths)
        if length_of == 'shortest':
            return min(lengths)
        if isinstance(length_of, int) and 0 <= length_of < len(lengths):
            return lengths[length_of]
        raise ValueError(
            f"length_of={length_of!r} of {type(self).__name__} must be 'longest', 'shortest' or the index of a part, "
            f'0 to {len(lengths) - 1}'
        )

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[list[int]]:
        streams = []
        for place, part in enumerate(self.parts):
            seed = int(np.random.SeedSequence([self.sampler.seed, place]).generate_state(1)[0])
            streams.append(part.batches(self._length, seed, self.sampler.epoch))
        for blocks in zip(*streams, strict=True):
            yield np.concatenate(blocks).tolist()
