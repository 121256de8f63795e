# Copyright (c) mmreid contributors. All rights reserved.
"""Numbers that show whether an embedding is learning or collapsing."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import nn

from mmreid.models.utils.distance import euclidean_distance

from .masked_mean import measured_mean
from .pair_loss import DistanceLoss


@torch.no_grad()
def pair_statistics(
    feats: torch.Tensor, labels: torch.Tensor, margin: float = 0.0, normalize: bool = False, squared: bool = False
) -> dict[str, torch.Tensor]:
    """Measures the distances inside and between the identities of a batch.

    Args:
        feats (torch.Tensor): Embeddings, shape (N, D).
        labels (torch.Tensor): Shape (N,).
        margin (float): Margin of the triplet loss. Defaults to 0.
        normalize (bool): Whether that loss compares L2-normalized embeddings. Defaults to False.
        squared (bool): Whether it compares squared distances. Defaults to False.

    Returns:
        dict[str, torch.Tensor]: Scalars ``pos_dist`` and ``neg_dist`` (mean Euclidean distance between images of the
        same and of different identities), ``active_triplets`` (fraction of anchors whose farthest positive is not yet
        ``margin`` closer than the nearest negative, by the distance of the loss) and ``emb_dist`` (mean distance
        between L2-normalized embeddings, 0 when all are equal). A scalar without any pair is NaN, which is not logged.
    """
    feats = feats.detach().float()
    unit = F.normalize(feats, dim=1)
    distance, of_units = euclidean_distance(feats, feats), euclidean_distance(unit, unit)
    same = labels[:, None] == labels
    itself = torch.eye(len(feats), dtype=torch.bool, device=feats.device)
    positive = same & ~itself
    compared = of_units if normalize else distance
    compared = compared.square() if squared else compared
    farthest = compared.masked_fill(~positive, 0).amax(1)
    nearest = compared.masked_fill(same, float('inf')).amin(1)
    return dict(
        pos_dist=measured_mean(distance, positive),
        neg_dist=measured_mean(distance, ~same),
        active_triplets=(farthest + margin > nearest).float().mean().masked_fill(same.all(), float('nan')),
        emb_dist=measured_mean(of_units, ~itself),
    )


def triplet_options(losses: Iterable[nn.Module]) -> dict[str, float | bool]:
    """Returns the arguments of :func:`pair_statistics` that match the first loss on distances; none without one."""
    for loss in losses:
        if isinstance(loss, DistanceLoss):
            return dict(margin=loss.margin or 0.0, normalize=loss.normalize, squared=loss.squared)
    return {}
