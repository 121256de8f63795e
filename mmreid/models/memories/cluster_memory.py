# Copyright (c) mmreid contributors. All rights reserved.
"""The memory of Cluster Contrast: one row for each cluster."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from mmengine.logging import print_log

from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS
from mmreid.structures import MODALITIES

from .contrast_memory import ContrastMemory, class_means
from .memory_aggregation import aggregate_memories, aggregation_options, match_clusters
from .moving_rows import move_rows
from .occurrence import occurrence

RULES = ('mean', 'hard')


@MODELS.register_module()
class ClusterMemory(ContrastMemory):
    """Keeps one feature for each cluster (Dai et al., Cluster Contrast, ACCV 2022).

    With new labels every row starts over as the mean feature of its cluster. In a step, rows move toward the features
    of their images, see ``rule``.

    A source domain is no part of the publication: its identities are further rows.

    Args:
        feat_dim (int): Size of a feature.
        temperature (float): tau of the paper. Defaults to 0.05.
        momentum (float): m of the paper, the weight of the old row. Defaults to 0.1.
        rule (str): ``'mean'``: a row moves toward each of its images, one after the other, so the last weighs most.
            ``'hard'``: toward the least similar of them only. Defaults to ``'mean'``.
        joint (bool): With a source: compare an image with the rows of both domains, not only with those of its own.
            Defaults to True.
        aggregation (dict, optional): With visible and infrared images: each time there are new labels, move the rows of
            visible clusters toward those of infrared ones that show the same people (Yang et al., ADCA, ACM MM 2022).
            ``threshold``, the smallest dot product of similar images, is 0.5 by default, ``keep``, the weight of the
            visible row, 0.1, and ``normalize``, whether moved rows are L2-normalized, False; see
            :func:`match_clusters` and :func:`aggregate_memories`. Defaults to None, rows stay apart.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        feat_dim: int,
        temperature: float = 0.05,
        momentum: float = 0.1,
        rule: str = 'mean',
        joint: bool = True,
        aggregation: dict | None = None,
    ) -> None:
        super().__init__(feat_dim, temperature, momentum)
        if rule not in RULES:
            raise ValueError(f"rule='{rule}' of ClusterMemory is unknown; use 'mean' or 'hard'")
        self.rule = rule
        self.joint = joint
        self.aggregation = None if aggregation is None else aggregation_options(**aggregation)
        self._spans: dict[str, tuple[int, int]] = {}

    def _make_rows(self, feats: torch.Tensor, source: torch.Tensor | None) -> None:
        clusters = class_means(feats, self.labels, int(self.labels.max()) + 1)
        self.features = clusters if source is None else torch.cat([source, clusters])
        self._loaded()
        if self.aggregation is not None:
            self._aggregate(feats, **self.aggregation)

    def _loaded(self) -> None:
        """Finds the first row of each group and the one after its last."""
        labels = {group: self.labels[images] for group, images in self.groups.items()}
        self._spans = {group: (int(own[own >= 0].min()), int(own.max()) + 1) for group, own in labels.items()}

    def _aggregate(self, feats: torch.Tensor, threshold: float, keep: float, normalize: bool) -> None:
        """Moves rows of visible clusters toward those of the infrared clusters that they are matched with."""
        visible, infrared = (self.features[slice(*self._spans[modality])] for modality in MODALITIES)
        images = [self.groups[modality] for modality in MODALITIES]
        labels = [self.labels[own] for own in images]
        labels[1] = (labels[1] - len(visible)).clamp_min(-1)  # counted from 0, as those of visible clusters
        parts = [part.to(feats.device) for part in (*images, *labels)]
        matches = match_clusters(feats[parts[0]], feats[parts[1]], *parts[2:], threshold)
        moved = aggregate_memories(visible, infrared, *matches, keep, normalize)
        self.features = torch.cat([moved, infrared])
        print_log(f'{len(matches[0])} of {len(visible)} visible clusters have an infrared partner', logger='current')

    def expect(
        self,
        num_source: int,
        num_target: int,
        device: torch.device,
        groups: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Tells the training data, see :class:`ContrastMemory`; raises a ValueError if it has nothing to aggregate."""
        super().expect(num_source, num_target, device, groups)
        if self.aggregation is not None and tuple(self.groups) != MODALITIES:
            raise ValueError(
                f'aggregation={self.aggregation} of ClusterMemory moves clusters of visible images toward those of '
                'infrared ones, but the images are not grouped by modality; use model=dict('
                "type='UnsupervisedCrossModalReID', ...), or aggregation=None"
            )

    def rows_of(self, items: torch.Tensor, domain: str) -> torch.Tensor:
        """Returns the row of the class of each image."""
        return items if domain == 'source' else self.num_source + self.labels[items]

    def contrast(self, feats: torch.Tensor, rows: torch.Tensor, domain: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Computes the cross entropy of each image over the rows, of its group if there are groups, averaged."""
        first, end = self._compared_with(domain)
        own = (rows - first).to(feats.device, non_blocking=True)
        logits = feats @ self.features[first:end].t() / self.temperature
        with torch.no_grad():
            accuracy = (logits.argmax(1) == own).float().mean() * 100
        return F.cross_entropy(logits, own), accuracy

    def _compared_with(self, domain: str) -> tuple[int, int]:
        """Returns the first row that images of a domain are compared with, and the one after the last."""
        if domain in self._spans:
            return self._spans[domain]
        if self.joint:
            return 0, len(self.features)
        return (0, self.num_source) if domain == 'source' else (self.num_source, len(self.features))

    @torch.no_grad()
    def update(self, feats: torch.Tensor, rows: torch.Tensor) -> None:
        """Moves rows toward their images by the rule."""
        with full_precision(feats):
            if self.rule == 'hard':
                feats, rows = self._hardest(feats.float(), rows)
            move_rows(self.features, rows, feats, self.momentum)

    def _hardest(self, feats: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Picks for each row that occurs its least similar feature, the first of equals."""
        present, place = rows.unique(return_inverse=True)
        turn = occurrence(place)
        # The images of each row side by side; the host knows where, so only the similarities are on the device.
        table = torch.full((len(present), int(turn.max()) + 1), -1)
        table[place, turn] = torch.arange(len(rows))
        table, on_device = (part.to(feats.device, non_blocking=True) for part in (table, rows))
        similarity = (feats * self.features[on_device]).sum(1)
        similarity = similarity.where(feats.isfinite().all(1), torch.inf)
        similarity = similarity[table.clamp_min(0)].masked_fill(table < 0, torch.inf)
        lowest = similarity.amin(1, keepdim=True)
        order = torch.arange(table.shape[1], device=table.device).expand_as(table)
        first = order.masked_fill(similarity != lowest, table.shape[1]).amin(1, keepdim=True)
        return feats[table.gather(1, first)[:, 0]], present
