# Copyright (c) mmreid contributors. All rights reserved.
"""What a data set does with images that cannot be read or are damaged."""

import numpy as np
import torch

from mmreid.datasets.readers.decoder_complaints import DecoderComplaints
from mmreid.datasets.transforms.loading import CorruptImageError


class CorruptImages:
    """Part of :class:`BaseReIDDataset` that applies ``on_corrupt`` and notes the complaints of image decoders."""

    def forget_corrupt_images(self, count: int) -> None:
        """Starts new notes on ``count`` records, in memory that all workers share."""
        self._corrupt = torch.zeros(count, dtype=torch.bool).share_memory_()
        self._damaged = torch.zeros(count, dtype=torch.bool).share_memory_()

    @property
    def damaged_files(self) -> list[str]:
        """list[str]: Images that their decoder called damaged so far, in all workers."""
        return [self.get_data_info(i)['img_path'] for i in self._damaged.nonzero().flatten().tolist()]

    @property
    def corrupt_files(self) -> list[str]:
        """list[str]: Training images that could not be read so far, in all workers."""
        return [self.get_data_info(i)['img_path'] for i in self._corrupt.nonzero().flatten().tolist()]

    @property
    def num_corrupt(self) -> int:
        """int: Number of training images that could not be read so far, in all workers."""
        return int(self._corrupt.sum())

    def on_corrupt_of(self, idx: int) -> str:
        """Returns what to do if the image of a record is unreadable: ``'raise'`` or ``'skip'``."""
        return self.on_corrupt

    def prepare_data(self, idx: int) -> dict:
        """Runs the pipeline on a record; replaces an unreadable image as ``on_corrupt`` says."""
        try:
            return self._prepare(idx)
        except CorruptImageError as error:
            if self.test_mode:
                raise
            if self.on_corrupt_of(idx) == 'raise':
                raise CorruptImageError(
                    f"{error}, or leave such images out of the training with on_corrupt='skip' on its data set"
                ) from error
        self._corrupt[idx] = True
        siblings = np.flatnonzero((self.pids == self.pids[idx]) & (self.modalities == self.modalities[idx]))
        for other in np.roll(siblings, -1 - int(np.searchsorted(siblings, idx)))[:-1].tolist():
            try:
                return self._prepare(other)
            except CorruptImageError:
                self._corrupt[other] = True
        what = f'{self.modalities[idx]} images'.lstrip()
        raise CorruptImageError(
            f'all {len(siblings)} {what} of identity {self.pids[idx]} in {self.name} are unreadable, the first is '
            f'{self.get_data_info(int(siblings[0]))["img_path"]}; remove the identity or restore its files'
        )

    def _prepare(self, idx: int) -> dict:
        with DecoderComplaints() as complaints:
            data = super().prepare_data(idx)
        if complaints.lines:
            self._damaged[idx] = True
        return data
