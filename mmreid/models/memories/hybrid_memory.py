# Copyright (c) mmreid contributors. All rights reserved.
"""The memory of SpCL: source identities, clusters and images without a cluster, from one row for each image."""

import torch

from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS

from .contrast_memory import ContrastMemory
from .moving_rows import move_rows

EPS = 1e-6  # of the official code, which adds it to the sum of the softmax and to the probability


@MODELS.register_module()
class HybridMemory(ContrastMemory):
    """Keeps a feature of each source identity and of each target image (Ge et al., SpCL, NeurIPS 2020, section 3.2).

    The similarity to a cluster is the mean of the similarities to its rows. The rows live as long as the run; new
    labels only regroup them.

    Args:
        feat_dim (int): Size of a feature.
        temperature (float): tau of the paper. Defaults to 0.05.
        momentum (float): m of the paper, the weight of the old row. Defaults to 0.2.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, feat_dim: int, temperature: float = 0.05, momentum: float = 0.2) -> None:
        super().__init__(feat_dim, temperature, momentum)
        self._class_of_row: torch.Tensor | None = None
        self._counts: torch.Tensor | None = None

    def _make_rows(self, feats: torch.Tensor, source: torch.Tensor | None) -> None:
        if self.features is None:
            self.features = feats if source is None else torch.cat([source, feats])
        self._loaded()

    def _loaded(self) -> None:
        """Makes the class of each row and their sizes; rows without a label get a last class, which is empty."""
        target = torch.where(self.labels < 0, int(self.labels.max()) + 1, self.labels)
        classes = torch.cat([torch.arange(self.num_source), self.num_source + target])
        counts = classes.bincount(minlength=self.num_source + int(self.labels.max()) + 2)
        counts[-1] = 0
        device = self.features.device
        self._class_of_row, self._counts = classes.to(device), counts.to(device)

    def clear(self) -> None:
        """Forgets rows and labels."""
        super().clear()
        self._class_of_row = self._counts = None

    def instances(self) -> torch.Tensor | None:
        """Returns the rows of the target images, (T, D); None before the first labels."""
        return None if self.features is None else self.features[self.num_source :]

    def rows_of(self, items: torch.Tensor, domain: str) -> torch.Tensor:
        """Returns the row of each source identity, or of each target image itself."""
        return items if domain == 'source' else self.num_source + items

    def contrast(self, feats: torch.Tensor, rows: torch.Tensor, domain: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Computes the cross entropy of each image over all classes, averaged, with the constants of the authors."""
        own = self._class_of_row[rows.to(feats.device, non_blocking=True)]
        similarity = (feats @ self.features.t() / self.temperature).t()
        means = similarity.new_zeros(len(self._counts), len(feats)).index_add(0, self._class_of_row, similarity).t()
        means = means / self._counts.clamp_min(1)
        means = means.masked_fill(self._counts == 0, -torch.inf)
        top = means.detach().amax(1, keepdim=True)  # so that a low temperature does not overflow
        weights = (means - top).exp()
        total = weights.sum(1, keepdim=True) + EPS * (-top).exp()
        probability = (weights / total).gather(1, own[:, None])[:, 0]
        accuracy = (means.detach().argmax(1) == own).float().mean() * 100
        return -(probability + EPS).log().mean(), accuracy

    @torch.no_grad()
    def update(self, feats: torch.Tensor, rows: torch.Tensor) -> None:
        """Moves rows toward their images, one after the other."""
        with full_precision(feats):
            move_rows(self.features, rows, feats, self.momentum)

    def _apply(self, fn, recurse: bool = True) -> 'HybridMemory':
        super()._apply(fn, recurse)
        if self._class_of_row is not None:
            self._class_of_row, self._counts = fn(self._class_of_row), fn(self._counts)
        return self
