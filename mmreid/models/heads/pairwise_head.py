# Copyright (c) mmreid contributors. All rights reserved.
"""The losses of models that learn to score pairs."""

import torch
from mmengine.dist import all_gather, get_rank
from torch import Tensor, nn

from mmreid.models.losses.masked_mean import measured_mean
from mmreid.models.losses.pair_statistics import pair_statistics
from mmreid.models.losses.score_triplet_loss import hardest_scores
from mmreid.models.utils.gather import gather_with_grad
from mmreid.registry import MODELS

from .base_head import BaseHead


@MODELS.register_module()
class PairwiseHead(BaseHead):
    """A loss on the scores inside a batch, or against a memory of all identities, or both.

    Args:
        num_classes (int, optional): Number of training identities; the runner fills it in. Only the memory needs it,
            and without it none is built, as in testing. Defaults to None.
        loss_score (dict, optional): Config of a :class:`PairLoss` on the scores of the batch; None for none. Defaults
            to the hard triplet loss of QAConv 2.1, with margin 16.
        loss_memory (dict, optional): Config of a loss against a memory, e.g. ``dict(type='ClassMemoryLoss')``. Defaults
            to None.
        gather (bool): Score each image against the batches of all ranks, with gradient, so that N ranks with batch B
            equal one rank with batch N x B (while the matcher's norms are in eval mode). Defaults to True.
        init_cfg (dict, optional): Defaults to None.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        loss_score: dict | None = dict(type='mmreid.ScoreTripletLoss'),  # noqa: B006
        loss_memory: dict | None = None,
        gather: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(num_classes, init_cfg)
        if loss_score is None and loss_memory is None:
            raise ValueError('PairwiseHead has neither loss_score nor loss_memory, so nothing can be learned; add one')
        self.gather = gather
        self.loss_score = MODELS.build(loss_score) if loss_score else None
        self.with_memory = loss_memory is not None
        has_memory = loss_memory and num_classes
        self.loss_memory = MODELS.build(dict(loss_memory, num_classes=num_classes)) if has_memory else None

    def loss(self, maps: Tensor, labels: Tensor, matcher: nn.Module) -> dict[str, Tensor]:
        """Computes the losses from maps, shape (N, C, H, W), and statistics to log.

        ``acc`` is the percentage of images whose lowest positive score is not below their highest negative score (for a
        memory alone: whose highest score is with their own identity); ``pos_score`` and ``neg_score`` are the means of
        these hardest scores, and ``active_triplets`` is the fraction of images inside the margin.
        """
        results = {}
        if self.with_memory:
            results.update(self._against_memory(maps, labels, matcher))
        if self.loss_score is not None:
            results.update(self._inside_batch(maps, labels, matcher))
        statistics = pair_statistics(maps.flatten(1), labels)
        return results | {key: value for key, value in statistics.items() if key == 'emb_dist'}

    def _inside_batch(self, maps: Tensor, labels: Tensor, matcher: nn.Module) -> dict[str, Tensor]:
        others, other_labels, first = maps, labels, 0
        if self.gather:
            others, other_labels = gather_with_grad(maps), torch.cat(all_gather(labels))
            first = get_rank() * len(maps)
        scores = matcher(maps, others)
        same = labels[:, None] == other_labels
        rows = torch.arange(len(labels), device=labels.device)
        itself = torch.zeros_like(same)
        itself[rows, rows + first] = True
        loss = self.loss_score(scores, same, itself)
        return dict(loss_score=loss, **self._statistics(scores.detach(), same, itself))

    def _statistics(self, scores: Tensor, same: Tensor, itself: Tensor) -> dict[str, Tensor]:
        lowest, highest = hardest_scores(scores, same, itself)
        return dict(
            acc=(lowest >= highest).float().mean() * 100,
            active_triplets=(highest + self.loss_score.margin > lowest).float().mean(),
            pos_score=measured_mean(lowest, lowest.isfinite()),
            neg_score=measured_mean(highest, highest.isfinite()),
        )

    def _against_memory(self, maps: Tensor, labels: Tensor, matcher: nn.Module) -> dict[str, Tensor]:
        if self.loss_memory is None:
            raise self._unknown_classes('class memory')
        scores = self.loss_memory.match(maps, matcher)
        results = dict(loss_memory=self.loss_memory(scores, labels))
        results['acc'] = (scores.argmax(1) == labels).float().mean() * 100
        self.loss_memory.remember(maps, labels)
        return results
