# Copyright (c) mmreid contributors. All rights reserved.
"""CMC, mAP, mINP and ROC, exact and in bounded memory.

Only the scores of one block of queries are in memory at a time. Nothing is sorted; what is ahead of a match is counted.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.dist import all_gather_object, get_dist_info

from mmreid.utils.progress import track

from .gallery_ranker import GalleryRanker
from .protocols import MARKET1501, PairIndex, Protocol
from .ranking_result import RankingResult
from .score_blocks import FeatureScores, MatrixScores, ScoreBlocks, as_score_blocks

MEMORY = 2**28
MAX_ROWS = 512  # more queries in a block make the matrix product no faster


def rank(
    scores: torch.Tensor | ScoreBlocks | Callable[[slice], torch.Tensor],
    q_pids: torch.Tensor,
    q_camids: torch.Tensor,
    g_pids: torch.Tensor,
    g_camids: torch.Tensor,
    protocol: Protocol = MARKET1501,
    *,
    max_rank: int = 50,
    keep_top: int = 0,
    roc_fpr: float = 0.0,
    memory: int = MEMORY,
    sharded: bool = False,
) -> RankingResult:
    """Ranks a gallery for each query.

    Equal scores rank in gallery order. Queries without a match are left out of all means. Images that the protocol
    leaves out count as neither right nor wrong.

    Args:
        scores (torch.Tensor | ScoreBlocks | Callable[[slice], torch.Tensor]): Similarity of shape (Q, G), higher is
            more similar; or a function that returns the rows of a slice of queries. They are compared in their own
            precision, float32 at least; infinite scores are allowed.
        q_pids (torch.Tensor): Identities of the queries, shape (Q,), int64.
        q_camids (torch.Tensor): Their cameras, shape (Q,).
        g_pids (torch.Tensor): Identities of the gallery, shape (G,). Junk must have been dropped; distractors count
            as wrong matches.
        g_camids (torch.Tensor): Their cameras, shape (G,).
        protocol (Protocol): What is left out and what is counted. Defaults to the rules of Market-1501.
        max_rank (int): Length of the CMC. Defaults to 50.
        keep_top (int): How many gallery images to list per query. Defaults to 0.
        roc_fpr (float): Highest false positive rate of the ROC to keep; that fraction of all scores stays in memory.
            Defaults to 0: no ROC.
        memory (int): Most bytes of scores at a time, at least one row. Defaults to 256 MiB.
        sharded (bool): Each process rank ranks some of the queries, and all get the whole result. All must call this
            with the same arguments. Blocks, and so results, do not depend on their number. Defaults to False.

    Returns:
        RankingResult: The result, on the CPU.

    Raises:
        ValueError: If query or gallery is empty, a score is NaN, or the shapes do not fit.
    """
    return rank_galleries(
        scores,
        q_pids,
        q_camids,
        g_pids,
        g_camids,
        [None],
        protocol,
        max_rank=max_rank,
        keep_top=keep_top,
        roc_fpr=roc_fpr,
        memory=memory,
        sharded=sharded,
    )[0]


@torch.no_grad()
def rank_galleries(
    scores: torch.Tensor | ScoreBlocks | Callable[[slice], torch.Tensor],
    q_pids: torch.Tensor,
    q_camids: torch.Tensor,
    g_pids: torch.Tensor,
    g_camids: torch.Tensor,
    galleries: Sequence[torch.Tensor | None],
    protocol: Protocol = MARKET1501,
    *,
    max_rank: int = 50,
    keep_top: int = 0,
    roc_fpr: float = 0.0,
    memory: int = MEMORY,
    sharded: bool = False,
) -> list[RankingResult]:
    """Ranks several galleries drawn from one set of images, such as the trials of SYSU-MM01; scores are computed once.

    Args:
        scores (torch.Tensor | ScoreBlocks | Callable): Similarity to all the images, see :func:`rank`.
        q_pids (torch.Tensor): Identities of the queries, shape (Q,), int64.
        q_camids (torch.Tensor): Their cameras, shape (Q,).
        g_pids (torch.Tensor): Identities of all the images, shape (G,).
        g_camids (torch.Tensor): Their cameras, shape (G,).
        galleries (Sequence[torch.Tensor | None]): Indices, among all the images, of each gallery, in its order; None
            for all of them.
        protocol (Protocol): See :func:`rank`.
        max_rank (int): See :func:`rank`.
        keep_top (int): See :func:`rank`; lists have indices among all the images.
        roc_fpr (float): See :func:`rank`.
        memory (int): See :func:`rank`; the scores of one gallery may take as much again.
        sharded (bool): See :func:`rank`.

    Returns:
        list[RankingResult]: One result per gallery.

    Raises:
        ValueError: See :func:`rank`.
    """
    num_query, num_images = len(q_pids), len(g_pids)
    sizes = [num_images if gallery is None else len(gallery) for gallery in galleries]
    if not num_query or not all(sizes):
        raise ValueError(f'cannot rank {num_query} queries against {min(sizes)} gallery images; both must have some')
    blocks = as_score_blocks(scores)
    if blocks.shape not in (None, (num_query, num_images)):
        raise ValueError(
            f'there are scores of {blocks.shape[0]} queries and {blocks.shape[1]} gallery images, but labels of '
            f'{num_query} and {num_images}'
        )
    labels = q_pids, q_camids, g_pids, g_camids
    everything = PairIndex(*labels, protocol)

    def rows_of(block: slice) -> torch.Tensor:
        """Returns scores of a block of queries. What they may not see depends on no gallery, so it is hidden here."""
        rows = _rows_of(blocks, block, num_images)
        everything.hide(rows, everything.pairs(block))
        return rows

    galleries = [None if gallery is None else torch.as_tensor(gallery).cpu() for gallery in galleries]
    indexes = _indexes(everything, labels, galleries)
    rankers = [
        GalleryRanker(index, gallery, rows_of, keep_top, roc_fpr)
        for index, gallery in zip(indexes, galleries, strict=True)
    ]
    work = sum(ranker.work for ranker in rankers)
    for ranker in rankers:
        ranker.work = work
    # Besides its scores, a query needs some int64 per image of its identity.
    row_bytes = blocks.element_size * num_images + 64 * max(int(ranker.index.num_same.max()) for ranker in rankers)
    step = min(MAX_ROWS, blocks.max_rows, max(1, memory // row_bytes))
    slices = [slice(start, min(start + step, num_query)) for start in range(0, num_query, step)]
    shard, num_shards = get_dist_info() if sharded else (0, 1)
    part = _rank_blocks_or_error(rows_of, slices[shard::num_shards], rankers)
    parts = [part] if num_shards == 1 else all_gather_object(part)
    failed = next((part for part in parts if isinstance(part, Exception)), None)
    if failed is not None:
        raise failed
    return [ranker.result(states, max_rank) for ranker, states in zip(rankers, zip(*parts, strict=True), strict=True)]


def rank_distances(distances: torch.Tensor, *labels: torch.Tensor, **kwargs: Any) -> RankingResult:
    """Ranks from distances, where lower is more similar.

    Args:
        distances (torch.Tensor): Shape (Q, G).
        *labels (torch.Tensor): ``q_pids, q_camids, g_pids, g_camids`` of :func:`rank`.
        **kwargs (Any): Its other arguments.

    Returns:
        RankingResult: The result.
    """
    return rank(MatrixScores(distances, negate=True), *labels, **kwargs)


def rank_features(
    q_feats: torch.Tensor,
    g_feats: torch.Tensor,
    matcher: Callable,
    *labels: torch.Tensor,
    device: torch.device | str | None = None,
    names: tuple[Sequence[str], Sequence[str]] | None = None,
    **kwargs: Any,
) -> RankingResult:
    """Ranks from features, which are matched block by block.

    Args:
        q_feats (torch.Tensor): Features of the queries, shape (Q, D), or (Q, ...) as the matcher takes them.
        g_feats (torch.Tensor): Features of the gallery, shape (G, D), likewise.
        matcher (Matcher | Callable): Turns both into scores, see :class:`FeatureScores`.
        *labels (torch.Tensor): ``q_pids, q_camids, g_pids, g_camids`` of :func:`rank`.
        device (torch.device | str, optional): Where to match and rank. Defaults to the device of the gallery.
        names (tuple[Sequence[str], Sequence[str]], optional): Names of the query and the gallery images, for messages.
        **kwargs (Any): The other arguments of :func:`rank`.

    Returns:
        RankingResult: The result.

    Raises:
        ValueError: If a feature is NaN or infinite, see also :func:`rank`.
    """
    return rank(FeatureScores(q_feats, g_feats, matcher, device=device, names=names), *labels, **kwargs)


def _indexes(
    everything: PairIndex, labels: Sequence[torch.Tensor], galleries: Sequence[torch.Tensor | None]
) -> list[PairIndex]:
    """Returns the index of each gallery; those with equal labels, as trials have, share one."""
    q_pids, q_camids, *of_images = (torch.as_tensor(values).cpu() for values in labels)
    indexes: list[PairIndex] = []
    known: list[tuple[torch.Tensor, PairIndex]] = []
    for gallery in galleries:
        if gallery is None:
            indexes.append(everything)
            continue
        drawn = torch.stack([values.long()[gallery] for values in of_images])
        index = next((index for other, index in known if torch.equal(drawn, other)), None)
        if index is None:
            index = PairIndex(q_pids, q_camids, *drawn, everything.protocol)
            known.append((drawn, index))
        indexes.append(index)
    return indexes


def _rows_of(blocks: ScoreBlocks, block: slice, num_images: int) -> torch.Tensor:
    rows, shape = blocks.rows(block), (block.stop - block.start, num_images)
    if rows.shape != shape:
        raise ValueError(
            f'scores of queries {block.start}..{block.stop - 1} have shape {tuple(rows.shape)}, expected {shape}'
        )
    return rows.contiguous()


def _rank_blocks_or_error(
    rows_of: Callable[[slice], torch.Tensor], slices: list[slice], rankers: list[GalleryRanker]
) -> list[tuple] | Exception:
    """Ranks some blocks of queries; returns the states of the rankers, or the error, for the other process ranks."""
    indexes = {id(ranker.index): ranker.index for ranker in rankers}
    try:
        for block in track(slices, 'matching and ranking'):
            rows = rows_of(block)
            pairs = {key: index.pairs(block) for key, index in indexes.items()}
            for ranker in rankers:
                ranker.add(rows, pairs[id(ranker.index)])
        return [ranker.state() for ranker in rankers]
    except Exception as error:  # noqa: BLE001 - the other process ranks must get it, or they would wait forever
        return error
