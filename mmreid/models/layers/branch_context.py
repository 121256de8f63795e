# Copyright (c) mmreid contributors. All rights reserved.
"""Tells the branch norms of a model which rows of the running batch belong to which branch."""

from collections.abc import Sequence

#: Name of the norm that all branches share.
SHARED = 'share'


def checked_branches(names: Sequence[str]) -> tuple[str, ...]:
    """Returns branch names as a tuple; raises ValueError unless there are two or more that can name modules."""
    checked = tuple(names)
    if len(checked) < 2 or len(set(checked)) < len(checked):
        raise ValueError(f"branches={names!r} must name at least two different branches, e.g. ('source', 'target')")
    for name in checked:
        if not name.isidentifier() or name == SHARED:
            raise ValueError(f'{name!r} cannot name a branch; use a Python identifier other than {SHARED!r}')
    return checked


class BranchContext:
    """The branches of a model, and how the running batch divides into them; a model and its norms share one object.

    A batch is one block of rows per branch, in the order of the names; blocks may be empty. The next batch replaces
    it. Where gradient checkpointing reruns a forward, :class:`~mmreid.models.layers.recompute.Replay` restores its
    batch.

    Args:
        names (Sequence[str]): The branches, e.g. ``('visible', 'infrared')``.

    Attributes:
        names (tuple[str, ...]): The branches.

    Raises:
        ValueError: If there are fewer than two branches, or a name is used twice or cannot name a module.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = checked_branches(names)
        self._sizes: tuple[int, ...] | None = None
        self._only: str | None = None

    @property
    def batch(self) -> tuple[tuple[int, ...] | None, str | None]:
        """tuple: All that is known about the running batch; assign it to restore that batch."""
        return self._sizes, self._only

    @batch.setter
    def batch(self, batch: tuple[tuple[int, ...] | None, str | None]) -> None:
        self._sizes, self._only = batch

    def set_blocks(self, *sizes: int) -> None:
        """Announces a batch.

        Args:
            *sizes (int): Images of each branch, in the order of :attr:`names`; 0 for a branch without images.

        Raises:
            ValueError: If there is not one size per branch, or all are 0.
        """
        if len(sizes) != len(self.names):
            raise ValueError(f'set_blocks{sizes} needs one size for each of the branches {", ".join(self.names)}')
        present = [name for name, size in zip(self.names, sizes, strict=True) if size]
        if not present:
            raise ValueError(f'a batch of 0 images has no branch; give at least one image to {" or ".join(self.names)}')
        self._only = present[0] if len(present) == 1 else None
        self._sizes = sizes

    def set_only(self, branch: str) -> None:
        """Announces batches of any size that belong to one branch, as in an exported network.

        Args:
            branch (str): One of :attr:`names`.

        Raises:
            ValueError: If there is no such branch.
        """
        if branch not in self.names:
            raise ValueError(f'branch={branch!r} is unknown; use one of {", ".join(self.names)}')
        self._only, self._sizes = branch, None

    def clear(self) -> None:
        """Forgets the batch; a norm that runs before the next one raises."""
        self._only = self._sizes = None

    @property
    def only(self) -> str | None:
        """str | None: The branch of a batch that belongs to one; None for a mixed batch."""
        return self._only

    def blocks(self, batch_size: int) -> tuple[int, ...]:
        """Returns the block sizes of the running batch.

        Args:
            batch_size (int): Rows that the asking norm was given.

        Returns:
            tuple[int, ...]: Rows of each branch.

        Raises:
            RuntimeError: If no batch is set, or it has another size.
        """
        if self._sizes is None and self._only is None:
            raise RuntimeError(
                f'a branch norm ran without a branch; run the network through its model with data samples that tell '
                f'the branch, or call set_blocks() / set_only() on model.branches ({", ".join(self.names)})'
            )
        if self._sizes is None:
            return tuple(batch_size if name == self._only else 0 for name in self.names)
        if sum(self._sizes) != batch_size:
            blocks = ' and '.join(f'{size} {name}' for name, size in zip(self.names, self._sizes, strict=True))
            raise RuntimeError(
                f'a branch norm was given {batch_size} rows, but the batch has {blocks} images; place the norm where '
                'a row is an image'
            )
        return self._sizes
