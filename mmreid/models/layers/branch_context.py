# Copyright (c) mmreid contributors. All rights reserved.
"""Tells the modality norms of a model which rows of the running batch are visible and which infrared."""

MODALITIES = ('visible', 'infrared')


class BranchContext:
    """The modality of the batch that runs through a network now; one object is shared by a model and its norms.

    A batch is a visible block followed by an infrared block, or one of them alone. The next batch replaces it; where
    gradient checkpointing runs a forward again, :class:`~mmreid.models.layers.recompute.Replay` puts its batch back.
    """

    def __init__(self) -> None:
        self._counts: tuple[int, int] | None = None
        self._only: str | None = None

    @property
    def batch(self) -> tuple[tuple[int, int] | None, str | None]:
        """tuple: All that is known about the batch, to be put back later."""
        return self._counts, self._only

    @batch.setter
    def batch(self, batch: tuple[tuple[int, int] | None, str | None]) -> None:
        self._counts, self._only = batch

    def set_blocks(self, num_visible: int, num_infrared: int) -> None:
        """Announces a batch of a visible block and an infrared block.

        Args:
            num_visible (int): Images of the first block; 0 for an infrared batch.
            num_infrared (int): Images of the second block; 0 for a visible batch.

        Raises:
            ValueError: If both are 0.
        """
        if num_visible + num_infrared == 0:
            raise ValueError('a batch of 0 visible and 0 infrared images has no modality; give at least one image')
        self._only = None if num_visible and num_infrared else MODALITIES[num_visible == 0]
        self._counts = (num_visible, num_infrared)

    def set_only(self, modality: str) -> None:
        """Announces batches of any size with one modality, as for an exported network.

        Args:
            modality (str): ``'visible'`` or ``'infrared'``.

        Raises:
            ValueError: If there is no such modality.
        """
        if modality not in MODALITIES:
            raise ValueError(f'modality={modality!r} is unknown; use one of {", ".join(MODALITIES)}')
        self._only, self._counts = modality, None

    def clear(self) -> None:
        """Forgets the batch, so that a norm that runs without a new one raises."""
        self._only = self._counts = None

    @property
    def only(self) -> str | None:
        """str | None: The modality of a batch that has one; None for both."""
        return self._only

    def blocks(self, batch_size: int) -> tuple[int, int]:
        """Gives the sizes of both blocks, for a norm that runs now.

        Args:
            batch_size (int): Rows that the norm was given.

        Returns:
            tuple[int, int]: Visible and infrared rows.

        Raises:
            RuntimeError: If no modality is set, or it was set for another batch.
        """
        if self._counts is None and self._only is None:
            raise RuntimeError(
                'a modality norm was run without a modality; run the network through CrossModalReID with data samples '
                "that have one ('visible' or 'infrared'), or call set_blocks() / set_only() of its modality context"
            )
        if self._counts is None:
            return (batch_size, 0) if self._only == 'visible' else (0, batch_size)
        if sum(self._counts) != batch_size:
            raise RuntimeError(
                f'a modality norm was given {batch_size} rows, but the batch has {self._counts[0]} visible and '
                f'{self._counts[1]} infrared images; it must stand where a row is an image'
            )
        return self._counts
