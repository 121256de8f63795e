# Copyright (c) mmreid contributors. All rights reserved.
"""The losses of supervised re-ID: classification of identities, and metric losses."""

import inspect
import re
from collections.abc import Sequence

import torch
from torch import nn

from mmreid.models.layers import MarginClassifier
from mmreid.models.losses.pair_statistics import pair_statistics, triplet_options
from mmreid.models.necks import NeckFeatures
from mmreid.registry import MODELS

from .base_head import BaseHead


@MODELS.register_module()
class ReIDHead(BaseHead):
    """Identity classifier on the embedding after the batch norm, and metric losses on the one before it.

    Args:
        in_channels (int): Size of the embedding.
        num_classes (int, optional): Number of training identities; the runner fills it in. Without it no classifier is
            built, as in testing. Defaults to None.
        classifier (dict, optional): Config of the classifier, e.g. ``dict(type='CosFaceClassifier', margin=0.35)``;
            None for a linear layer without bias. Defaults to None.
        loss_cls (dict, optional): Config of the classification loss; None for none. Defaults to label smoothing of
            0.1, spread over all classes (eps / K).
        loss_metric (dict | Sequence[dict], optional): Config of the metric loss, or several, each with a
            ``loss_weight``; None for none. A loss with an argument ``num_classes`` or ``channels``, such as
            ``CenterLoss``, gets it from the head. Defaults to None.
        metric_feat (str): Which embedding the metric losses use, ``'before'`` or ``'after'`` the batch norm. Defaults
            to ``'before'``.
        init_cfg (dict, optional): Defaults to normal weights of standard deviation 0.001; margin classifiers initialize
            themselves.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int | None = None,
        classifier: dict | None = None,
        loss_cls: dict | None = dict(type='mmreid.SmoothedCrossEntropyLoss', label_smooth_val=0.1),  # noqa: B006
        loss_metric: dict | Sequence[dict] | None = None,
        metric_feat: str = 'before',
        init_cfg: dict | None = dict(type='Normal', layer='Linear', std=0.001),  # noqa: B006
    ) -> None:
        super().__init__(num_classes, init_cfg)
        if metric_feat not in NeckFeatures._fields:
            raise ValueError(f"metric_feat='{metric_feat}' is unknown; use one of {', '.join(NeckFeatures._fields)}")
        if not loss_cls and not loss_metric:
            raise ValueError('ReIDHead has neither loss_cls nor loss_metric, so nothing can be learned; add one')
        if classifier and not loss_cls:
            raise ValueError(f'classifier={classifier.get("type")!r} of ReIDHead has no use without loss_cls; give one')
        self.metric_feat = metric_feat
        self.only_before = not loss_cls and metric_feat == 'before'
        self.in_channels = in_channels
        self.loss_cls = MODELS.build(loss_cls) if loss_cls else None
        if loss_cls and num_classes:
            sizes = dict(in_channels=in_channels, num_classes=num_classes)
            plain = nn.Linear(in_channels, num_classes, bias=False)
            self.classifier = MODELS.build(dict(classifier, **sizes)) if classifier else plain
        configs = [loss_metric] if isinstance(loss_metric, dict) else loss_metric or []
        losses = [_build_metric_loss(config, in_channels, num_classes) for config in configs]
        self.incomplete = None in losses or (self.loss_cls is not None and self.classifier is None)
        if isinstance(loss_metric, dict):
            self.loss_metric = losses[0]
        else:
            self.loss_metric = _by_name([loss for loss in losses if loss is not None])

    def loss(self, feats: NeckFeatures, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Computes the losses, and statistics to log.

        Args:
            feats (NeckFeatures): Embeddings, each (N, D).
            labels (torch.Tensor): Contiguous labels, (N,), int64.

        Returns:
            dict[str, torch.Tensor]: Scalars ``loss_ce`` and ``loss_metric`` as configured, ``acc`` (training accuracy
            in percent, without margin) and those of :func:`pair_statistics`. Several metric losses are named by their
            types, e.g. ``loss_triplet`` and ``loss_center``. Only keys that contain ``loss`` are summed.

        Raises:
            RuntimeError: If the number of identities is unknown.
            ValueError: If the size of the embeddings is not ``in_channels``.
        """
        if self.incomplete:
            raise self._unknown_classes('classifier to train, or no center of an identity')
        if self.classifier is not None and feats.after.shape[1] != self.in_channels:
            raise ValueError(
                f'the neck gives embeddings of size {feats.after.shape[1]}, but the head has in_channels='
                f'{self.in_channels}; set model.head.in_channels to {feats.after.shape[1]}'
            )
        results = {}
        if self.loss_cls is not None:
            scores, accuracy = self.classify(feats.after, labels)
            if self.training and isinstance(self.classifier, MarginClassifier):
                scores = self.classifier.with_margin(scores, labels)
            results.update(loss_ce=self.loss_cls(scores, labels), acc=accuracy)
        metric_feats = getattr(feats, self.metric_feat)
        losses = self._metric_losses()
        for name, loss in losses.items():
            results[f'loss_{name}'] = loss(metric_feats, labels)
        return results | pair_statistics(metric_feats, labels, **triplet_options(losses.values()))

    def _metric_losses(self) -> dict[str, nn.Module]:
        if isinstance(self.loss_metric, nn.ModuleDict):
            return dict(self.loss_metric)
        return {} if self.loss_metric is None else dict(metric=self.loss_metric)


def _build_metric_loss(config: dict, channels: int, num_classes: int | None) -> nn.Module | None:
    """Builds a metric loss with the sizes that it needs; None if the number of identities it needs is unknown."""
    if not isinstance(config, dict) or 'type' not in config:
        raise ValueError(f"loss_metric of ReIDHead has {config!r}; give the type too, e.g. dict(type='TripletLoss')")
    kind = MODELS.get(config['type']) if isinstance(config['type'], str) else config['type']
    asked = inspect.signature(kind).parameters if kind else {}
    sizes = {key: size for key, size in dict(num_classes=num_classes, channels=channels).items() if key in asked}
    config = {**sizes, **config}
    return None if config.get('num_classes', 0) is None else MODELS.build(config)


def _by_name(losses: list[nn.Module]) -> nn.ModuleDict | None:
    """Names losses by their types, e.g. ``triplet`` for ``TripletLoss``; repeated types get a number."""
    named = nn.ModuleDict()
    for loss in losses:
        name = re.sub(r'(?<!^)(?=[A-Z])', '_', type(loss).__name__.removesuffix('Loss')).lower()
        again = sum(type(other) is type(loss) for other in named.values())
        named[f'{name}_{again + 1}' if again else name] = loss
    return named or None
