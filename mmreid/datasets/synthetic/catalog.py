# Copyright (c) mmreid contributors. All rights reserved.
"""Which person belongs to which pid, with clusters of near-duplicates."""

from __future__ import annotations

from dataclasses import replace

from .identity import ClothingSpec, PersonSpec, color_distance, sample_person
from .streams import stream

# Attributes that may be the only difference within a cluster. All of them are visible from most sides.
CLUSTER_ATTRIBUTES = (
    'upper_color', 'upper_texture', 'sleeve', 'hem', 'lower_color', 'lower_kind', 'lower_texture', 'shoe_color', 'bag',
    'hair_style', 'hat',
)  # fmt: skip
# Distance in RGB from which two colors count as visibly different.
VISIBLE_DISTANCE = 70.0


class PersonCatalog:
    """The endless list of people of a world, by pid.

    Pids are divided into blocks of ``cluster_size``. A block is a cluster with probability ``cluster_fraction``: its
    members are equal in all attributes but one, which is different in each. All other people are drawn independently. A
    person depends only on these arguments and the pid.

    Args:
        seed (int): Seed of the world.
        clothing (ClothingSpec): What people wear.
        name (str): Name of the population (the domain), so that two domains have different people.
        cluster_fraction (float): Fraction of people in clusters, 0 to 1.
        cluster_size (int): People per cluster, 2 or 3, as some attributes have no more values.

    Raises:
        ValueError: If the fraction or the size is out of range.
    """

    def __init__(
        self, seed: int, clothing: ClothingSpec, name: str, cluster_fraction: float = 0.3, cluster_size: int = 3
    ) -> None:
        if not 0 <= cluster_fraction <= 1:
            raise ValueError(f'cluster_fraction is a fraction of the people, but got {cluster_fraction}; use 0 to 1.')
        if cluster_size not in (2, 3):
            raise ValueError(
                f'cluster_size is {cluster_size}, but members differ in one attribute with few values; use 2 or 3.'
            )
        self.seed, self.clothing, self.name = seed, clothing, name
        self.cluster_fraction, self.cluster_size = cluster_fraction, cluster_size
        self._known: dict[int, PersonSpec] = {}

    def __getitem__(self, pid: int) -> PersonSpec:
        """Returns the person with a pid, 1 or more; always the same person."""
        if pid < 1:
            raise ValueError(f'There is no person {pid}: pids of a procedural world start at 1.')
        if pid not in self._known:
            block = (pid - 1) // self.cluster_size
            self._known.update(self._cluster(block) if self.is_cluster(block) else {pid: self._single(pid)})
        return self._known[pid]

    def is_cluster(self, block: int) -> bool:
        """Returns whether a block, ``(pid - 1) // cluster_size``, is a cluster of near-duplicates."""
        return bool(stream(self.seed, self.name, 'block', block).random() < self.cluster_fraction)

    def cluster_of(self, pid: int) -> list[int]:
        """Lists the pids of the near-duplicates of a person, including the person; only the person outside clusters."""
        block = (pid - 1) // self.cluster_size
        first = block * self.cluster_size + 1
        return list(range(first, first + self.cluster_size)) if self.is_cluster(block) else [pid]

    def first_pid_after(self, pid: int) -> int:
        """Returns the first pid of the block after this one (0 for none), so that splits never cut a cluster."""
        return -(-pid // self.cluster_size) * self.cluster_size + 1

    def _single(self, pid: int) -> PersonSpec:
        return sample_person(stream(self.seed, self.name, 'person', pid), self.clothing)

    def _cluster(self, block: int) -> dict[int, PersonSpec]:
        """Draws the members of a cluster: tries attributes in random order until one has enough values."""
        rng = stream(self.seed, self.name, 'cluster', block)
        base = sample_person(rng, self.clothing)
        for attribute in rng.permutation(CLUSTER_ATTRIBUTES):
            values = [getattr(base, attribute)]
            for _ in range(60):
                value = getattr(sample_person(rng, self.clothing), attribute)
                if len(values) < self.cluster_size and all(_visibly_different(value, old) for old in values):
                    values.append(value)
            if len(values) == self.cluster_size and _is_seen(base, str(attribute)):
                first = block * self.cluster_size + 1
                return {first + i: replace(base, **{str(attribute): value}) for i, value in enumerate(values)}
        raise ValueError(
            f'The clothing of {self.name!r} has no attribute with {self.cluster_size} visibly different values; '
            'give it more colors or a smaller cluster_size.'
        )


def _visibly_different(first: object, second: object) -> bool:
    """Compares two values of an attribute: colors need a distance, words must differ."""
    if isinstance(first, tuple) and isinstance(second, tuple):
        return color_distance(first, second) > VISIBLE_DISTANCE
    return first != second


def _is_seen(base: PersonSpec, attribute: str) -> bool:
    """Returns whether changing an attribute of this person is visible: a coat hides trousers, a hat hides hair."""
    if attribute == 'hair_style':
        return base.hat == 'none'
    if attribute == 'lower_texture':
        return base.hem != 'coat' and base.lower_kind != 'shorts'
    if attribute == 'lower_kind':
        return base.hem != 'coat'
    return True
