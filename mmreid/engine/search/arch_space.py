# Copyright (c) mmreid contributors. All rights reserved.
"""What a search by trainings chooses among: blocks of norms, each of which is split or shared as a whole."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np

from mmreid.models.layers import resolve_arch

LEVELS = ('stage', 'block', 'norm')
_STAGE = re.compile(r'((?:layer|stages\.|layers\.|downsample_layers\.)\d+)\.(.+)')

Arch = tuple[bool, ...]  # for each block, whether it is split


class ArchSpace:
    """The architectures that split or share whole blocks.

    Args:
        blocks (str | Mapping[str, str | Sequence[str]]): How the norms are grouped. ``'stage'``: a block for each
            stage, and for each norm outside of the stages. ``'block'``: for each residual block with its shortcut.
            ``'norm'``: for each norm. Or blocks by name, each with names of norms or patterns with ``*``.
        norms (Mapping[str, str]): State of each norm of the network. Those of no block keep it.

    Attributes:
        blocks (dict[str, list[str]]): Names of the norms of each block.
        norms (dict[str, str]): As given.

    Raises:
        ValueError: If the grouping is unknown, a pattern matches no norm, or a norm is in two blocks.
    """

    def __init__(self, blocks: str | Mapping[str, str | Sequence[str]], norms: Mapping[str, str]) -> None:
        self.norms = dict(norms)
        self.blocks = _named_blocks(blocks, self.norms) if isinstance(blocks, Mapping) else _level(blocks, self.norms)

    @property
    def size(self) -> int:
        """int: Number of architectures; ``len`` could not count those of more than 62 blocks."""
        return 2 ** len(self.blocks)

    def all_shared(self) -> Arch:
        """Returns the architecture that splits no block."""
        return (False,) * len(self.blocks)

    def architecture(self, number: int) -> Arch:
        """Returns one of all architectures, by its number from 0 on."""
        return tuple(bool(number >> place & 1) for place in range(len(self.blocks)))

    def states(self, arch: Arch) -> dict[str, str]:
        """Returns the state of each norm."""
        states = dict(self.norms)
        for split, names in zip(arch, self.blocks.values(), strict=True):
            states.update(dict.fromkeys(names, 'split' if split else 'share'))
        return states

    def read(self, arch: str | Mapping[str, str]) -> Arch:
        """Finds the architecture that a config writes by norms.

        Args:
            arch (str | Mapping[str, str]): See :func:`mmreid.models.layers.resolve_arch`.

        Raises:
            ValueError: If it splits a part of a block, or does not fit the network.
        """
        states = resolve_arch(arch, list(self.norms))
        for block, names in self.blocks.items():
            if len({states[name] for name in names}) > 1:
                raise ValueError(
                    f'the architecture {arch} splits a part of the block {block!r}; split all of it or none'
                )
        return tuple(states[names[0]] == 'split' for names in self.blocks.values())

    def title(self, arch: Arch) -> str:
        """Names the blocks that are split."""
        split = [block for block, chosen in zip(self.blocks, arch, strict=True) if chosen]
        return 'all shared' if not split else 'all split' if len(split) == len(self.blocks) else ' + '.join(split)

    def key(self, arch: Arch) -> str:
        """Writes the state of each norm as a letter, ``S`` or ``-``; the same in every space of the network."""
        return ''.join('S' if state == 'split' else '-' for state in self.states(arch).values())


def distances(some: Sequence[Arch], others: Sequence[Arch]) -> np.ndarray:
    """Returns the fraction of the blocks in which architectures differ, shape (N, M)."""
    first, second = (np.asarray(archs, dtype=bool) for archs in (some, others))
    return (first[:, None] != second[None]).mean(2)


def _level(level: str, norms: Mapping[str, str]) -> dict[str, list[str]]:
    if level not in LEVELS:
        raise ValueError(
            f"blocks={level!r} is unknown; use 'stage', 'block', 'norm', or dict(name=[norms or patterns], ...)"
        )
    blocks: dict[str, list[str]] = {}
    for name in norms:
        blocks.setdefault(name if level == 'norm' else _block_of(name, level), []).append(name)
    return blocks


def _block_of(name: str, level: str) -> str:
    found = _STAGE.fullmatch(name)
    if found is None:
        return name
    stage, rest = found.groups()
    # 'layer1.0' of layer1.0.downsample.1, 'stages.0.blocks.1' of stages.0.blocks.1.norm1, 'stages.0' of a norm beside
    within = re.match(r'(\w+\.)?\d+(?=\.)', rest)
    return f'{stage}.{within[0]}' if within and level == 'block' else stage


def _named_blocks(blocks: Mapping[str, str | Sequence[str]], norms: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    for block, patterns in blocks.items():
        if block == '_delete_':  # MMEngine leaves it in a config that had nothing to delete
            continue
        found[block] = []
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            matching = [name for name in norms if fnmatchcase(name, pattern)]
            if not matching:
                raise ValueError(
                    f'the block {block!r} names {pattern!r}, but the network has no such norm; it has '
                    f'{", ".join(list(norms)[:60])}'
                )
            for name in matching:
                if name in owner:
                    raise ValueError(f'the norm {name} is in two blocks, {owner[name]!r} and {block!r}; leave one out')
                owner[name] = block
            found[block] += matching
    if not found:
        raise ValueError('blocks of the search is empty, so there is nothing to search; name at least one block')
    return found
