# Copyright (c) mmreid contributors. All rights reserved.
"""What a head and the pseudo label hook ask of a memory whose rows have pseudo labels."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import BaseModule

STORED = ('features', 'labels')


class ContrastMemory(BaseModule):
    """Base of memories that images are compared with, under pseudo labels that ``PseudoLabelHook`` makes.

    With a source domain, the first rows belong to its identities, and those of the target follow. An image is named by
    its item: the training label of a source image, the number of a target image.

    The rows are a buffer: saved and resumed with the model, but seen by no optimizer. Their number is known once the
    target has labels. The forward reads them and keeps its features by :meth:`remember`; after the backward, the hook
    writes these. A model that is only tested leaves the memory of its checkpoint out.

    Args:
        feat_dim (int): Size of a feature.
        temperature (float): tau; similarities are divided by it.
        momentum (float): Weight of the old row in an update.

    Raises:
        ValueError: If an argument is out of range.

    Attributes:
        features (torch.Tensor, optional): L2-normalized rows, shape (R, D), float32; None before the first labels.
        labels (torch.Tensor, optional): Pseudo label of each target image, 0, 1, ..., -1 for images in no cluster;
            shape (T,), int64, always on the host. None before the first labels.
        num_source (int): Source identities, the first rows; 0 without a source.
        num_target (int, optional): Target images; None in a model that is not trained.
        groups (dict[str, torch.Tensor]): Target images, as items (N,), whose clusters are apart from those of the
            others, by the name of their domain, e.g. ``'visible'`` and ``'infrared'``; empty if there are no such.
    """

    def __init__(self, feat_dim: int, temperature: float, momentum: float) -> None:
        super().__init__()
        name = type(self).__name__
        if temperature <= 0:
            raise ValueError(f'temperature={temperature} of {name} must be above 0')
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum={momentum} of {name} is the weight of the old row and must lie in [0, 1)')
        self.feat_dim = feat_dim
        self.temperature = temperature
        self.momentum = momentum
        self.num_source = 0
        self.num_target: int | None = None
        self.groups: dict[str, torch.Tensor] = {}
        self._device: torch.device | None = None
        self._pending: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        for part in STORED:
            self.register_buffer(part, None)

    def expect(
        self,
        num_source: int,
        num_target: int,
        device: torch.device,
        groups: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Tells the training data, see the attributes, and where rows are kept; without it no memory is loaded."""
        self.num_source, self.num_target, self._device = num_source, num_target, device
        self.groups = dict(groups or {})

    def clear(self) -> None:
        """Forgets rows and labels."""
        self.features = self.labels = None
        self._pending = {}

    def relabel(self, labels: torch.Tensor, feats: torch.Tensor, source: torch.Tensor | None = None) -> None:
        """Takes new pseudo labels of the target images, and makes the rows that they need.

        Args:
            labels (torch.Tensor): See :attr:`labels`; at least one image must have one. With :attr:`groups`, those of
                the first group come first, then those of the second.
            feats (torch.Tensor): L2-normalized features of the target images, shape (T, D); :meth:`instances` where
                the memory has them.
            source (torch.Tensor, optional): L2-normalized mean feature of each source identity, shape
                (num_source, D); None without a source. Defaults to None.
        """
        self.labels = labels
        self._make_rows(feats, source)

    @abstractmethod
    def _make_rows(self, feats: torch.Tensor, source: torch.Tensor | None) -> None:
        """Makes the rows for :attr:`labels`."""

    def instances(self) -> torch.Tensor | None:
        """Returns the rows of the target images (T, D) if the memory has a row for each; by default it does not."""
        return None

    @abstractmethod
    def rows_of(self, items: torch.Tensor, domain: str) -> torch.Tensor:
        """Returns the rows, (N,), that images of a domain update; items and rows are on the host."""

    @abstractmethod
    def contrast(self, feats: torch.Tensor, rows: torch.Tensor, domain: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Compares images of a domain with the rows.

        Args:
            feats (torch.Tensor): L2-normalized features, shape (N, D), float32, with gradient.
            rows (torch.Tensor): The rows of the images, see :meth:`rows_of`.
            domain (str): ``'source'``, ``'target'`` or one of :attr:`groups`.

        Returns:
            tuple[torch.Tensor, torch.Tensor]: The loss; and how many images are most similar to their own class, in
            percent; both scalars.
        """

    def check(self, items: torch.Tensor, domain: str) -> None:
        """Raises an error if the memory has no rows, or none for these items (N,), which must be on the host."""
        if self.features is None:
            raise RuntimeError(
                f"the {type(self).__name__} has no pseudo labels yet; add dict(type='PseudoLabelHook') to "
                'custom_hooks, which makes them before each epoch'
            )
        count = self.num_source if domain == 'source' else len(self.labels)
        low, high = (int(bound) for bound in items.aminmax())
        if not 0 <= low <= high < count:
            raise ValueError(
                f'the batch shows {domain} items {low} to {high}, but the memory has 0 to {count - 1}; it was made for '
                'other training data'
            )
        if domain != 'source' and bool((self.labels[items] < 0).any()):
            raise ValueError(
                f'the batch shows {domain} images without a pseudo label; use a sampler that follows the labels, e.g. '
                "batch_sampler=dict(type='MultiGalleryBatchSampler'), or outliers='own' of PseudoLabelHook"
            )

    def remember(self, feats: torch.Tensor, rows: torch.Tensor, domain: str) -> None:
        """Keeps the features (N, D) of this rank's step and their rows (N,), on the host, for the update."""
        if domain in self._pending:
            raise RuntimeError(
                f"the {type(self).__name__} was not updated after the last step; add dict(type='PseudoLabelHook') to "
                'custom_hooks'
            )
        self._pending[domain] = feats.detach(), rows

    def take_pending(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Returns, once, the features (N, D) and rows (N,) that :meth:`remember` kept; None if there are none."""
        pending, self._pending = self._pending, {}
        if not pending:
            return None
        feats, rows = zip(*pending.values(), strict=True)
        return torch.cat(feats), torch.cat(rows)

    @abstractmethod
    def update(self, feats: torch.Tensor, rows: torch.Tensor) -> None:
        """Moves rows toward new features; those that are not finite are left out.

        Args:
            feats (torch.Tensor): Features of all ranks in rank order, shape (N, D).
            rows (torch.Tensor): Their rows, shape (N,), int64, on the host.
        """

    def _apply(self, fn: Any, recurse: bool = True) -> 'ContrastMemory':
        """Moves the module; the labels stay on the host, where batches are looked up."""
        labels, self.labels = self.labels, None
        super()._apply(fn, recurse)
        self.labels = labels
        return self

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        found = {part: state_dict.get(prefix + part) for part in STORED}
        fits = all(value is not None for value in found.values()) and found['labels'].shape == (self.num_target,)
        for part, value in found.items():
            if fits:
                setattr(self, part, torch.empty_like(value, device='cpu' if part == 'labels' else self._device))
            else:
                state_dict.pop(prefix + part, None)
        super()._load_from_state_dict(state_dict, prefix, *args)
        if fits:
            self._loaded()

    def _loaded(self) -> None:
        """Derives what is not saved from rows and labels; by default nothing."""

    def extra_repr(self) -> str:
        """Shows the settings in the log."""
        return f'feat_dim={self.feat_dim}, temperature={self.temperature}, momentum={self.momentum}'


def class_means(feats: torch.Tensor, labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Averages features (N, D) by class (N,), and L2-normalizes the means, (num_classes, D); -1 is no class."""
    known = labels >= 0
    means = feats.new_zeros(num_classes, feats.shape[1])
    means.index_add_(0, labels[known].to(feats.device), feats[known.to(feats.device)])
    return torch.nn.functional.normalize(means, dim=1)
