# Copyright (c) mmreid contributors. All rights reserved.
"""Numbers that show whether an embedding is learning or collapsing."""

import torch
import torch.nn.functional as F

from mmreid.models.utils.distance import euclidean_distance


@torch.no_grad()
def pair_statistics(feats: torch.Tensor, labels: torch.Tensor, margin: float = 0.0) -> dict[str, torch.Tensor]:
    """Measures the distances inside and between the identities of a batch.

    Args:
        feats (torch.Tensor): Embeddings, shape (N, D).
        labels (torch.Tensor): Shape (N,).
        margin (float): Margin of the triplet loss. Defaults to 0.

    Returns:
        dict[str, torch.Tensor]: Scalars ``pos_dist`` and ``neg_dist`` (mean Euclidean distance of two images of the
        same and of different identities), ``active_triplets`` (share of anchors whose farthest positive is not yet
        ``margin`` closer than the nearest negative) and ``emb_dist`` (mean distance of two L2-normalised embeddings,
        0 when all are the same). Those without any pair are left out.
    """
    feats = feats.detach().float()
    distance = euclidean_distance(feats, feats)
    same = labels[:, None] == labels
    positive = same ^ torch.eye(len(feats), dtype=torch.bool, device=feats.device)
    statistics = {}
    if positive.any():
        statistics['pos_dist'] = distance[positive].mean()
    if not same.all():
        statistics['neg_dist'] = distance[~same].mean()
        farthest = distance.masked_fill(~positive, 0).amax(1)
        nearest = distance.masked_fill(same, float('inf')).amin(1)
        statistics['active_triplets'] = (farthest + margin > nearest).float().mean()
    if len(feats) > 1:
        unit = F.normalize(feats, dim=1)
        pairs = len(feats) * (len(feats) - 1)
        off_diagonal = ~torch.eye(len(feats), dtype=torch.bool, device=feats.device)
        statistics['emb_dist'] = euclidean_distance(unit, unit)[off_diagonal].sum() / pairs
    return statistics
