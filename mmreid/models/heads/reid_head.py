# Copyright (c) mmreid contributors. All rights reserved.
"""The losses of supervised re-ID: classify identities, and order distances."""

import torch
from mmengine.model import BaseModule
from torch import nn

from mmreid.models.losses.pair_statistics import pair_statistics
from mmreid.models.necks import NeckFeatures
from mmreid.registry import MODELS


@MODELS.register_module()
class ReIDHead(BaseModule):
    """Identity classifier on the normalised embedding plus a metric loss on the other.

    Without ``num_classes`` no classifier is built, as in testing; the runner fills it in from the training data.

    Args:
        in_channels (int): Size of the embedding.
        num_classes (int, optional): Number of training identities. Defaults to None.
        loss_cls (dict, optional): Config of the classification loss; None for none. Defaults to label smoothing of
            0.1, spread over all classes (eps / K).
        loss_metric (dict, optional): Config of the metric loss; None for none. Defaults to None.
        metric_feat (str): Which embedding the metric loss sees, ``'before'`` or ``'after'`` the batch norm. Defaults
            to ``'before'``.
        init_cfg (dict, optional): Defaults to normal weights of standard deviation 0.001.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int | None = None,
        loss_cls: dict | None = dict(type='mmpretrain.LabelSmoothLoss', label_smooth_val=0.1, mode='original'),  # noqa: B006
        loss_metric: dict | None = None,
        metric_feat: str = 'before',
        init_cfg: dict | None = dict(type='Normal', layer='Linear', std=0.001),  # noqa: B006
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if metric_feat not in NeckFeatures._fields:
            raise ValueError(f"metric_feat='{metric_feat}' is unknown; use one of {', '.join(NeckFeatures._fields)}")
        if loss_cls is None and loss_metric is None:
            raise ValueError('ReIDHead has neither loss_cls nor loss_metric, so nothing can be learned; give one')
        self.metric_feat = metric_feat
        self.only_before = loss_cls is None and metric_feat == 'before'  # no loss sees the normalised embedding
        self.num_classes = num_classes
        self.loss_cls = MODELS.build(loss_cls) if loss_cls else None
        self.loss_metric = MODELS.build(loss_metric) if loss_metric else None
        self.classifier = nn.Linear(in_channels, num_classes, bias=False) if self.loss_cls and num_classes else None

    def loss(self, feats: NeckFeatures, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Computes the losses, and the pair statistics that are logged beside them.

        Args:
            feats (NeckFeatures): Embeddings, each (N, D).
            labels (torch.Tensor): Contiguous labels, (N,), int64.

        Returns:
            dict[str, torch.Tensor]: Scalars ``loss_ce`` and ``loss_metric`` as configured, ``acc`` (training accuracy
            in percent) and those of :func:`pair_statistics`. Only keys that contain ``loss`` are summed.
        """
        results = {}
        if self.loss_cls is not None:
            results.update(self._classification(feats.after, labels))
        metric_feats = getattr(feats, self.metric_feat)
        if self.loss_metric is not None:
            results['loss_metric'] = self.loss_metric(metric_feats, labels)
        results.update(pair_statistics(metric_feats, labels, getattr(self.loss_metric, 'margin', None) or 0.0))
        return results

    def _classification(self, feats: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        if self.classifier is None:
            raise RuntimeError(
                'the number of identities is unknown, so there is no classifier to train; train through '
                'tools/train.py, which counts them in the training data, or set model.head.num_classes'
            )
        scores = self.classifier(feats)
        accuracy = (scores.argmax(1) == labels).float().mean() * 100
        return dict(loss_ce=self.loss_cls(scores.float(), labels), acc=accuracy)
