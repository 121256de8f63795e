# Copyright (c) mmreid contributors. All rights reserved.
"""Cross-modality memory aggregation of ADCA: clusters of two modalities that show the same person are matched."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmreid.models.utils.precision import full_precision


def aggregation_options(threshold: float = 0.5, keep: float = 0.1, normalize: bool = False) -> dict:
    """Checks the options of an aggregation, see :func:`match_clusters` and :func:`aggregate_memories`.

    Args:
        threshold (float): Smallest dot product of similar images, in [-1, 1]. Defaults to 0.5.
        keep (float): Fraction of the visible entry that stays, in [0, 1]. Defaults to 0.1.
        normalize (bool): Whether to L2-normalize the moved entries. Defaults to False.

    Returns:
        dict: All three.

    Raises:
        ValueError: If one is out of range.
    """
    if not -1 <= threshold <= 1:
        raise ValueError(f'threshold={threshold} of the aggregation is a cosine and must lie in [-1, 1]')
    if not 0 <= keep <= 1:
        raise ValueError(f'keep={keep} of the aggregation is the weight of the visible entry and must lie in [0, 1]')
    return dict(threshold=threshold, keep=keep, normalize=normalize)


def match_clusters(
    visible: Tensor,
    infrared: Tensor,
    visible_labels: Tensor,
    infrared_labels: Tensor,
    threshold: float = 0.5,
    block_size: int = 1024,
) -> tuple[Tensor, Tensor]:
    """Matches visible clusters with infrared ones, one to one, by how many of their images are similar.

    Pairs of clusters are taken in the order of their similar pairs of images, most first, and of the best of these if
    they have as many; a cluster that has a partner is passed over (Yang et al., ADCA, ACM MM 2022, and the authors'
    code). The similarities are computed for some visible images at a time, so memory stays bounded.

    Args:
        visible (Tensor): Features of the visible images, shape (V, D).
        infrared (Tensor): Features of the infrared images, shape (I, D).
        visible_labels (Tensor): Their clusters, shape (V,), int64, from 0; -1 for images without one.
        infrared_labels (Tensor): The same for infrared images, shape (I,).
        threshold (float): Smallest dot product of similar images. Defaults to 0.5.
        block_size (int): Visible images at a time. Defaults to 1024.

    Returns:
        tuple[Tensor, Tensor]: The matched visible and infrared clusters, shape (M,) each, int64, on the CPU, in the
        order of the matches.

    Raises:
        ValueError: If features and labels differ in number.
    """
    pairs, _, _ = count_similar_pairs(visible, infrared, visible_labels, infrared_labels, threshold, block_size)
    matched_visible: dict[int, int] = {}
    taken: set[int] = set()
    for of_visible, of_infrared in pairs.tolist():
        if min(of_visible, of_infrared) >= 0 and of_visible not in matched_visible and of_infrared not in taken:
            matched_visible[of_visible] = of_infrared
            taken.add(of_infrared)
    matches = torch.tensor([[*matched_visible], [*matched_visible.values()]], dtype=torch.int64)
    return matches[0], matches[1]


def count_similar_pairs(
    visible: Tensor,
    infrared: Tensor,
    visible_labels: Tensor,
    infrared_labels: Tensor,
    threshold: float = 0.5,
    block_size: int = 1024,
) -> tuple[Tensor, Tensor, Tensor]:
    """Counts the similar pairs of images of each pair of clusters; images without a cluster form one, -1.

    Args:
        visible (Tensor): See :func:`match_clusters`, as for the other arguments.
        infrared (Tensor): Shape (I, D).
        visible_labels (Tensor): Shape (V,).
        infrared_labels (Tensor): Shape (I,).
        threshold (float): Defaults to 0.5.
        block_size (int): Defaults to 1024.

    Returns:
        tuple[Tensor, Tensor, Tensor]: Pairs of clusters with similar images, shape (P, 2), how many they have and
        their highest dot product, (P,) each; on the CPU, most pairs first.

    Raises:
        ValueError: If features and labels differ in number.
    """
    for name, feats, labels in (('visible', visible, visible_labels), ('infrared', infrared, infrared_labels)):
        if len(feats) != len(labels):
            raise ValueError(f'{len(feats)} {name} features have {len(labels)} labels; give one for each image')
    columns = _clusters(infrared_labels)
    size = _clusters(visible_labels) * columns
    counts = torch.zeros(size, dtype=torch.int64, device=visible.device)
    best = torch.full((size,), float('-inf'), device=visible.device)
    with full_precision(visible):
        for feats, labels in zip(visible.split(block_size), visible_labels.split(block_size), strict=True):
            scores = feats.float() @ infrared.float().t()
            cells = ((labels[:, None] + 1) * columns + infrared_labels + 1)[scores >= threshold]
            scores = scores[scores >= threshold]
            counts += torch.bincount(cells, minlength=size)
            best.scatter_reduce_(0, cells, scores, 'amax')
    cells = counts.nonzero().flatten().cpu()
    counts, best = counts.cpu()[cells], best.cpu()[cells]
    order = best.argsort(descending=True, stable=True)
    order = order[counts[order].argsort(descending=True, stable=True)]
    cells = cells[order]
    return torch.stack([cells // columns - 1, cells % columns - 1], 1), counts[order], best[order]


def aggregate_memories(
    visible_memory: Tensor,
    infrared_memory: Tensor,
    visible_clusters: Tensor,
    infrared_clusters: Tensor,
    keep: float = 0.1,
    normalize: bool = False,
) -> Tensor:
    """Moves the entries of matched visible clusters toward those of their infrared partners, which stay.

    Args:
        visible_memory (Tensor): Entries of the visible clusters, shape (C, D).
        infrared_memory (Tensor): Entries of the infrared clusters, shape (E, D).
        visible_clusters (Tensor): Matched visible clusters, shape (M,), see :func:`match_clusters`.
        infrared_clusters (Tensor): Their partners, shape (M,).
        keep (float): Fraction of the visible entry that stays. Defaults to 0.1.
        normalize (bool): Whether to L2-normalize the moved entries; the authors' code does not. Defaults to False.

    Returns:
        Tensor: The new visible entries, shape (C, D).
    """
    rows, partners = visible_clusters.to(visible_memory.device), infrared_clusters.to(infrared_memory.device)
    moved = keep * visible_memory[rows] + (1 - keep) * infrared_memory[partners].to(visible_memory)
    if normalize:
        moved = F.normalize(moved, dim=1)
    return visible_memory.index_copy(0, rows, moved)


def _clusters(labels: Tensor) -> int:
    """Number of clusters, with the one of images without a cluster."""
    return int(labels.max()) + 2 if len(labels) else 1
