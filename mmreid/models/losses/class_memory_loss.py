# Copyright (c) mmreid contributors. All rights reserved.
"""Compares a batch with the latest feature map of every identity."""

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather
from torch import Tensor, nn

from mmreid.registry import MODELS


@MODELS.register_module()
class ClassMemoryLoss(nn.Module):
    """Focal binary cross entropy of a batch against a memory of one map per identity (Liao and Shao, ECCV 2020).

    The memory holds the latest map of each identity, without gradient. The loss is summed over identities and averaged
    over images; identities not seen yet do not count. The matcher's batch norms see each chunk as a batch of its own.

    What :meth:`remember` gets is written when the memory is next used or saved, because the backward of the current
    step still needs the old content. A map that is not finite is left out.

    Args:
        num_classes (int): Number of training identities.
        channels (int): Channels of the maps. Defaults to 128.
        size (tuple[int, int]): Height and width of the maps. Defaults to (24, 8).
        chunk (int, optional): Identities to match at once; None takes all. Defaults to None.
        gamma (float): How much less easy pairs count: the loss is weighted by ``(1 - p) ** gamma``, where ``p`` is the
            probability of the truth. Defaults to 2.
        loss_weight (float): Defaults to 1.

    Attributes:
        class_memory (Tensor): The maps as the matcher prepares them, (num_classes, channels, H * W).
        valid_class (Tensor): Which identities were seen, (num_classes,), bool.
    """

    def __init__(
        self,
        num_classes: int,
        channels: int = 128,
        size: tuple[int, int] = (24, 8),
        chunk: int | None = None,
        gamma: float = 2.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.chunk = chunk or num_classes
        self.gamma = gamma
        self.loss_weight = loss_weight
        # Channels last, so that the matcher needs no copy.
        memory = torch.zeros(num_classes, size[0] * size[1], channels).transpose(1, 2)
        self.register_buffer('class_memory', memory)
        self.register_buffer('valid_class', torch.zeros(num_classes, dtype=torch.bool))
        self._pending: tuple[Tensor, Tensor] | None = None

    def match(self, maps: Tensor, matcher: nn.Module) -> Tensor:
        """Scores maps (N, C, H, W) against all identities with a pairwise matcher; shape (N, num_classes)."""
        self._write()
        query = matcher.prepare(maps)
        chunks = self.class_memory.split(self.chunk)
        return torch.cat([matcher.score(query, chunk.to(query.dtype)) for chunk in chunks], dim=1)

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of the scores (N, num_classes) of :meth:`match` with labels (N,); a scalar."""
        truth = F.one_hot(labels, scores.shape[1]).to(scores.dtype)
        losses = F.binary_cross_entropy_with_logits(scores, truth, reduction='none')
        wrong = (truth - scores.sigmoid()).abs()
        return self.loss_weight * (losses * wrong**self.gamma * self.valid_class).sum(1).mean()

    @torch.no_grad()
    def remember(self, maps: Tensor, labels: Tensor) -> None:
        """Replaces the maps of the identities in the batches of all ranks, (N, C, H, W); the last of each stays."""
        maps = maps.detach().to(self.class_memory.dtype)
        self._pending = torch.cat(all_gather(maps)), torch.cat(all_gather(labels))

    @torch.no_grad()
    def _write(self) -> None:
        if self._pending is None:
            return
        maps, labels = self._pending
        self._pending = None
        order = torch.arange(len(labels), device=labels.device)
        # The rows of an identity all write the last of them, so their order does not matter.
        last = torch.zeros_like(self.valid_class, dtype=torch.int64).scatter_reduce_(0, labels, order, 'amax')[labels]
        maps = maps.flatten(2)[last]
        finite = maps.isfinite().all(2).all(1)
        self.class_memory[labels] = maps.where(finite[:, None, None], self.class_memory[labels])
        self.valid_class[labels] |= finite

    def _save_to_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._write()
        super()._save_to_state_dict(*args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._pending = None
        super()._load_from_state_dict(*args, **kwargs)
