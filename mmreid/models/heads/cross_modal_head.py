# Copyright (c) mmreid contributors. All rights reserved.
"""The losses of visible-infrared re-ID, one set for weight steps and one for architecture steps."""

import torch
from mmengine.dist import all_gather, get_world_size
from torch import nn

from mmreid.models.losses.c3mmd_loss import CorrelationConsistencyLoss
from mmreid.models.losses.pair_loss import PairLoss
from mmreid.models.losses.pair_statistics import pair_statistics, triplet_options
from mmreid.models.necks import NeckFeatures
from mmreid.models.utils.gather import gather_with_grad
from mmreid.registry import MODELS

from .base_head import BaseHead

PHASES = ('weights', 'arch')


@MODELS.register_module()
class CrossModalHead(BaseHead):
    """Identity classifier, cross-modality triplet loss, and the losses that align the modalities (C3MMD).

    The triplet loss uses the embedding before the batch norm; all others use the one after it (official CM-NAS code,
    ``train_eval.py``). ``arch_losses`` selects the losses of the architecture steps of a search; the default follows
    the v1 abstract, where C3MMD guides the search.

    Args:
        in_channels (int): Size of the embedding.
        num_classes (int, optional): Number of training identities; the runner fills it in. Defaults to None.
        loss_cls (dict, optional): Classification loss. Defaults to plain cross entropy.
        loss_triplet (dict, optional): Triplet loss over both modalities: ``CrossModalTripletLoss``, the default, or one
            that compares all images of the batch, e.g. ``WeightedTripletLoss``.
        loss_correlation (dict, optional): Correlation consistency. Defaults to ``CorrelationConsistencyLoss``.
        loss_mmd (dict, optional): Class-specific MMD. Defaults to ``ClassMMDLoss``.
        weight_losses (tuple[str, ...]): Which of ``'ce'``, ``'triplet'``, ``'correlation'``, ``'mmd'`` are used in
            weight steps, and so in ordinary training. Without ``'ce'`` there is no classifier. Defaults to all.
        arch_losses (tuple[str, ...]): Which are used in architecture steps; ``'ce'`` needs the classifier that the
            weight steps train. Defaults to all.
        gather (bool): Compare the images of all ranks, with gradient, so that N ranks with batch B equal one rank with
            batch N x B. Each rank must have as many images of a modality as the others. Defaults to False.
        init_cfg (dict, optional): Defaults to normal weights of standard deviation 0.001.

    Raises:
        ValueError: If a phase names an unknown loss or has none, or the head and its triplet loss both gather.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int | None = None,
        loss_cls: dict | None = dict(type='mmpretrain.CrossEntropyLoss'),  # noqa: B006
        loss_triplet: dict | None = dict(type='mmreid.CrossModalTripletLoss'),  # noqa: B006
        loss_correlation: dict | None = dict(type='mmreid.CorrelationConsistencyLoss'),  # noqa: B006
        loss_mmd: dict | None = dict(type='mmreid.ClassMMDLoss'),  # noqa: B006
        weight_losses: tuple[str, ...] = ('ce', 'triplet', 'correlation', 'mmd'),
        arch_losses: tuple[str, ...] = ('ce', 'triplet', 'correlation', 'mmd'),
        gather: bool = False,
        init_cfg: dict | None = dict(type='Normal', layer='Linear', std=0.001),  # noqa: B006
    ) -> None:
        super().__init__(num_classes, init_cfg)
        configs = dict(ce=loss_cls, triplet=loss_triplet, correlation=loss_correlation, mmd=loss_mmd)
        self.losses = nn.ModuleDict({name: MODELS.build(config) for name, config in configs.items() if config})
        self.gather = gather
        if gather and any(isinstance(loss, PairLoss) and loss.gather for loss in self.losses.values()):
            raise ValueError(
                'CrossModalHead and its loss_triplet both have gather=True, which would gather twice; take it out of '
                'loss_triplet'
            )
        self.used = dict(weights=tuple(weight_losses), arch=tuple(arch_losses))
        for phase, names in self.used.items():
            unknown = sorted(set(names) - set(configs))
            if unknown:
                raise ValueError(f'{phase} losses of CrossModalHead name {unknown[0]!r}; use some of {sorted(configs)}')
            if not set(names) & set(self.losses):
                raise ValueError(
                    f'CrossModalHead has no loss for its {phase} steps, so nothing can be learned; add one'
                )
        if num_classes and 'ce' in self._names('weights'):  # only weight steps train a classifier
            self.classifier = nn.Linear(in_channels, num_classes, bias=False)
        self.only_before = all(self._names(phase) == ['triplet'] for phase in PHASES)

    def check_labels(self, labels: torch.Tensor, num_visible: int, phase: str = 'weights') -> None:
        """Raises a ValueError if a loss of the phase cannot use a batch with labels (N,), which are on the host yet."""
        loss = self.losses['correlation'] if 'correlation' in self._names(phase) else None
        if isinstance(loss, CorrelationConsistencyLoss):
            loss.check(*labels.split((num_visible, len(labels) - num_visible)))

    def loss(
        self, feats: NeckFeatures, labels: torch.Tensor, num_visible: int, phase: str = 'weights'
    ) -> dict[str, torch.Tensor]:
        """Computes the losses of a phase (``'weights'`` or ``'arch'``), and statistics to log.

        ``num_visible`` is the size of the visible block, which comes first in ``feats`` and ``labels``.
        """
        used = self._names(phase)
        sizes = (num_visible, len(labels) - num_visible)
        results = {}
        if 'ce' in used:
            scores, results['acc'] = self.classify(feats.after, labels)
            results['loss_ce'] = self.losses['ce'](scores, labels)
        before, after, identities = (self._blocks(x, sizes) for x in (feats.before, feats.after, labels))
        for name in ('triplet', 'correlation', 'mmd'):
            if name in used:
                chosen = before if name == 'triplet' else after
                loss = self.losses[name]
                together = isinstance(loss, PairLoss) and not loss.by_modality
                parts = (torch.cat(chosen), torch.cat(identities)) if together else (*chosen, *identities)
                results[f'loss_{name}'] = loss(*parts)
        results[f'loss_{used[0]}'] = results[f'loss_{used[0]}'] + self._untouched(used, feats)
        return dict(results, **pair_statistics(feats.before, labels, **triplet_options(self.losses.values())))

    def _blocks(self, rows: torch.Tensor, sizes: tuple[int, int]) -> tuple[torch.Tensor, ...]:
        """Returns the visible and the infrared rows, of all ranks if the head gathers."""
        blocks = rows.split(sizes)
        if not self.gather or get_world_size() == 1:
            return blocks
        if rows.is_floating_point():
            return tuple(gather_with_grad(block) for block in blocks)
        return tuple(torch.cat(all_gather(block)) for block in blocks)

    def _names(self, phase: str) -> list[str]:
        """Returns the names of the losses of a phase."""
        return [name for name in self.used[phase] if name in self.losses]

    def _untouched(self, used: list[str], feats: NeckFeatures) -> torch.Tensor | float:
        """Returns 0, with a zero gradient for what only the losses of the other phase reach.

        DistributedDataParallel waits in each step for a gradient of every parameter.
        """
        zero: torch.Tensor | float = 0.0
        if 'ce' not in used and self.classifier is not None:
            zero = zero + 0 * self.classifier.weight.sum()
        if used == ['triplet'] and not self.only_before:
            zero = zero + 0 * feats.after.float().sum()
        return zero
