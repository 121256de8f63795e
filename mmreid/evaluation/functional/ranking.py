# Copyright (c) mmreid contributors. All rights reserved.
"""CMC, mAP and mINP from scores. Exact, deterministic, one block of queries at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

BLOCK_ELEMENTS = 2**23


@dataclass
class RankingResult:
    """What ranking a test set gave. Shares are in [0, 1].

    Attributes:
        cmc (torch.Tensor): Share of scorable queries whose first match is among the first k, for k = 1..max_rank;
            shape (max_rank,), float64. Beyond the end of the gallery it stays as it is.
        ap (torch.Tensor): Average precision of each query, NaN where it cannot be scored; shape (Q,), float64.
        inp (torch.Tensor): Inverse negative penalty of each query (matches / rank of the last match); likewise.
        first_match (torch.Tensor): Rank of each query's first match, 1-based, 0 where it cannot be scored; (Q,), int64.
        top (torch.Tensor | None): Gallery indices of each query's first ``keep_top`` images, -1 where there are no
            more; shape (Q, keep_top), int64.
    """

    cmc: torch.Tensor
    ap: torch.Tensor
    inp: torch.Tensor
    first_match: torch.Tensor
    top: torch.Tensor | None = None

    @property
    def valid(self) -> torch.Tensor:
        """torch.Tensor: Which queries could be scored, shape (Q,), bool."""
        return self.first_match > 0

    @property
    def num_valid(self) -> int:
        """int: Number of queries that could be scored."""
        return int(self.valid.sum())

    @property
    def mean_ap(self) -> float:
        """float: mAP over the queries that could be scored."""
        return float(self.ap[self.valid].mean())

    @property
    def mean_inp(self) -> float:
        """float: mINP (Ye et al., TPAMI 2022) over the queries that could be scored."""
        return float(self.inp[self.valid].mean())


def scorable_queries(
    q_pids: torch.Tensor,
    q_camids: torch.Tensor,
    g_pids: torch.Tensor,
    g_camids: torch.Tensor,
    cross_camera: bool = True,
) -> torch.Tensor:
    """Tells which queries have a match left in the gallery; needs no features.

    Args:
        q_pids (torch.Tensor): Identities of the queries, shape (Q,).
        q_camids (torch.Tensor): Their cameras, shape (Q,).
        g_pids (torch.Tensor): Identities of the gallery, shape (G,).
        g_camids (torch.Tensor): Their cameras, shape (G,).
        cross_camera (bool): Whether matches of the query's own camera are left out. Defaults to True.

    Returns:
        torch.Tensor: Shape (Q,), bool.
    """
    if not cross_camera:
        return torch.isin(q_pids, g_pids)
    # An identity can be scored from a camera unless the gallery shows it in that camera only.
    cameras: dict[int, set[int]] = {}
    for pid, camid in set(zip(g_pids.tolist(), g_camids.tolist(), strict=True)):
        cameras.setdefault(pid, set()).add(camid)
    pairs = zip(q_pids.tolist(), q_camids.tolist(), strict=True)
    return torch.tensor([bool(cameras.get(pid, set()) - {camid}) for pid, camid in pairs], dtype=torch.bool)


def rank(
    scores: torch.Tensor | Callable[[slice], torch.Tensor],
    q_pids: torch.Tensor,
    q_camids: torch.Tensor,
    g_pids: torch.Tensor,
    g_camids: torch.Tensor,
    cross_camera: bool = True,
    max_rank: int = 50,
    keep_top: int = 0,
    block_elements: int = BLOCK_ELEMENTS,
) -> RankingResult:
    """Ranks a gallery for each query under the Market-1501 protocol.

    For each query, gallery images of its identity from its own camera are left out (``cross_camera``); equal scores
    rank in gallery order; queries without a match are left out of all means. AP is the mean precision at the matches.

    Args:
        scores (torch.Tensor | Callable[[slice], torch.Tensor]): Similarity of shape (Q, G), higher is more similar;
            or a function that gives these rows for a slice of queries, so that no (Q, G) matrix need exist.
            Its order is kept in its own precision (float64 stays float64).
        q_pids (torch.Tensor): Identities of the queries, shape (Q,), int64.
        q_camids (torch.Tensor): Their cameras, shape (Q,).
        g_pids (torch.Tensor): Identities of the gallery, shape (G,). Junk must have been dropped; distractors count
            as wrong matches.
        g_camids (torch.Tensor): Their cameras, shape (G,).
        cross_camera (bool): Whether matches of the query's own camera are left out. Defaults to True.
        max_rank (int): Length of the CMC. Defaults to 50.
        keep_top (int): How many gallery indices to return per query. Defaults to 0.
        block_elements (int): Scores ranked at a time; bounds the memory. Defaults to 8 Mi.

    Returns:
        RankingResult: The result, on the CPU.

    Raises:
        ValueError: If the gallery is empty, a score is NaN, or the shapes do not fit.
    """
    num_query, num_gallery = len(q_pids), len(g_pids)
    if not num_query or not num_gallery:
        raise ValueError(f'cannot rank {num_query} queries against {num_gallery} gallery images; both must have some')
    rows_of = scores if callable(scores) else lambda block: scores[block]
    ap = torch.full((num_query,), float('nan'), dtype=torch.float64)
    inp = ap.clone()
    first_match = torch.zeros(num_query, dtype=torch.int64)
    top = torch.full((num_query, keep_top), -1, dtype=torch.int64) if keep_top else None
    step = max(1, block_elements // num_gallery)
    for start in range(0, num_query, step):
        block = slice(start, min(start + step, num_query))
        rows = rows_of(block)
        if rows.shape != (block.stop - block.start, num_gallery):
            raise ValueError(
                f'scores of queries {block.start}..{block.stop - 1} have shape {tuple(rows.shape)}, expected '
                f'({block.stop - block.start}, {num_gallery})'
            )
        if rows.isnan().any():
            query = block.start + int(rows.isnan().any(1).nonzero()[0])
            raise ValueError(
                f'query {query} has NaN among its scores, so it cannot be ranked; its or a gallery feature is not '
                'finite: check the weights and, under half precision, overflow'
            )
        pids, camids = g_pids.to(rows.device), g_camids.to(rows.device)
        same = q_pids[block].to(rows.device)[:, None] == pids
        dropped = same & (q_camids[block].to(rows.device)[:, None] == camids) if cross_camera else None
        results = _rank_block(rows, same, dropped, keep_top)
        first_match[block], ap[block], inp[block] = (part.cpu() for part in results[:3])
        if top is not None:
            top[block, : results[3].shape[1]] = results[3].cpu()
    valid = first_match > 0
    hits = torch.bincount(first_match[valid].clamp_max(max_rank + 1), minlength=max_rank + 2)[1 : max_rank + 1]
    cmc = hits.cumsum(0).double() / valid.sum().clamp_min(1)
    return RankingResult(cmc=cmc, ap=ap, inp=inp, first_match=first_match, top=top)


def _rank_block(
    rows: torch.Tensor, same: torch.Tensor, dropped: torch.Tensor | None, keep_top: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Ranks the gallery for the queries of one block; all arguments have shape (B, G)."""
    order = rows.argsort(dim=1, descending=True, stable=True)
    match = same.gather(1, order)
    kept = torch.ones_like(match) if dropped is None else ~dropped.gather(1, order)
    match &= kept
    place = kept.cumsum(1)  # rank of each kept image, 1-based
    found = match.cumsum(1)
    total = found[:, -1]
    precision = torch.where(match, found.double() / place.clamp_min(1), 0.0)
    ap = precision.sum(1) / total  # 0 / 0 = NaN marks a query without a match
    match_place = torch.where(match, place, 0)
    last = match_place.amax(1)
    first = torch.where(match, place, torch.iinfo(place.dtype).max).amin(1).where(total > 0, 0)
    return first, ap, total.double() / last, _first_kept(order, kept, place, keep_top) if keep_top else None


def _first_kept(order: torch.Tensor, kept: torch.Tensor, place: torch.Tensor, keep_top: int) -> torch.Tensor:
    """Gives the gallery indices of the first kept images of each query, -1 where there are no more."""
    count = min(keep_top, order.shape[1])
    top = torch.full((len(order), count + 1), -1, dtype=torch.int64, device=order.device)
    slot = torch.where(kept & (place <= count), place - 1, count)
    top.scatter_(1, slot, order)
    return top[:, :count]
