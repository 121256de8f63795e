# Copyright (c) mmreid contributors. All rights reserved.
"""What a test protocol leaves out of the gallery of each query, and what it counts."""

import math
from dataclasses import dataclass

import numpy as np
import torch

CMC_RULES = ('images', 'ids', 'single_shot', 'matches')
Pairs = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Protocol:
    """How the gallery is ranked for a query.

    Attributes:
        drop_own_camera (bool): Leave out images of the query's identity from the query's camera. Defaults to True.
        blind_pairs (tuple[tuple[int, int], ...]): Pairs (query camera, gallery camera): queries of the first never see
            any image of the second, whatever its identity. Defaults to ().
        cmc (str): What Rank-k counts up to the first match: all ``'images'``; distinct ``'ids'``, each at the rank of
            its best image; or, with ``'single_shot'``, one image per identity, drawn at random in each of ``trials``.
            The draw of a trial is the same for all queries, except where a query may not see the drawn image: it gets
            the next one of that identity. ``'matches'`` ranks every match among itself and the wrong images; Rank-k is
            then the fraction of its matches that a query has at rank k or better. AP and INP always count images.
            Defaults to ``'images'``.
        ap (str): ``'precision'``: mean of the precision at the matches; ``'trapezoid'``: area under the
            precision-recall curve by trapezoids, which is lower. Defaults to ``'precision'``.
        trials (int): Number of draws of ``'single_shot'``. Defaults to 10.
        seed (int): Seed of these draws. Defaults to 0.
    """

    drop_own_camera: bool = True
    blind_pairs: tuple[tuple[int, int], ...] = ()
    cmc: str = 'images'
    ap: str = 'precision'
    trials: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.cmc not in CMC_RULES:
            raise ValueError(f'cmc={self.cmc!r} of Protocol is unknown; use one of {", ".join(map(repr, CMC_RULES))}')
        if self.ap not in ('precision', 'trapezoid'):
            raise ValueError(f"ap={self.ap!r} of Protocol is unknown; use 'precision' or 'trapezoid'")
        if self.cmc == 'single_shot' and self.blind_pairs:
            raise ValueError("cmc='single_shot' of Protocol draws for all cameras alike; leave blind_pairs empty")
        if self.trials < 1:
            raise ValueError(f'trials={self.trials} of Protocol must be at least 1')

    def blind_cameras(self, camid: int) -> list[int]:
        """Returns the gallery cameras that queries of the camera ``camid`` never see."""
        return [gallery for query, gallery in self.blind_pairs if query == camid]


MARKET1501 = Protocol()
"""Market-1501, DukeMTMC-reID, MSMT17, CUHK03-NP."""
CUHK03 = Protocol(cmc='single_shot')
"""The first protocol of CUHK03: one gallery image per identity."""
SYSU_MM01 = Protocol(drop_own_camera=False, blind_pairs=((2, 1),), cmc='ids')
"""SYSU-MM01. Cameras are counted from 0; the official cameras 3 and 2 stand at one place."""
REGDB = Protocol(drop_own_camera=False)
"""RegDB, in both directions."""
LLCM = Protocol(cmc='ids')
"""LLCM, in both directions."""


@dataclass
class BlockPairs:
    """What a block of queries has to find, and what it may not see.

    Attributes:
        block (slice): The queries.
        matches (Pairs): See :meth:`PairIndex.same_id`.
        left_out (Pairs): Likewise.
        num_hidden (torch.Tensor): How many images are hidden from each query, shape (B,), int64.
    """

    block: slice
    matches: Pairs
    left_out: Pairs
    num_hidden: torch.Tensor


class PairIndex:
    """Finds the matches of a block of queries, and what is left out of their galleries.

    Args:
        q_pids (torch.Tensor): Identities of the queries, shape (Q,).
        q_camids (torch.Tensor): Their cameras, shape (Q,).
        g_pids (torch.Tensor): Identities of the gallery, shape (G,).
        g_camids (torch.Tensor): Their cameras, shape (G,).
        protocol (Protocol): The rules.

    Attributes:
        codes (torch.Tensor): Identities of the gallery, numbered from 0; shape (G,), int64.
        num_ids (int): Number of identities in the gallery.
        num_same (torch.Tensor): Gallery images of each query's identity, left out or not; shape (Q,), int64.
    """

    def __init__(
        self,
        q_pids: torch.Tensor,
        q_camids: torch.Tensor,
        g_pids: torch.Tensor,
        g_camids: torch.Tensor,
        protocol: Protocol,
    ) -> None:
        labels = dict(q_pids=q_pids, q_camids=q_camids, g_pids=g_pids, g_camids=g_camids)
        q_pids, q_camids, g_pids, g_camids = (torch.as_tensor(value).cpu().long() for value in labels.values())
        for pids, camids, part in ((q_pids, q_camids, 'query'), (g_pids, g_camids, 'gallery')):
            if pids.ndim != 1 or pids.shape != camids.shape:
                raise ValueError(
                    f'{part} pids have shape {tuple(pids.shape)}, camids {tuple(camids.shape)}; both must be (N,)'
                )
        self.protocol, self.q_camids, self.g_camids = protocol, q_camids, g_camids
        ids, self.codes = g_pids.unique(return_inverse=True)
        self.num_ids = len(ids)
        self._by_id = self.codes.argsort(stable=True)  # stable: images of an identity stay in gallery order
        sorted_pids = g_pids[self._by_id]
        self._first = torch.searchsorted(sorted_pids, q_pids)
        self.num_same = torch.searchsorted(sorted_pids, q_pids, right=True) - self._first
        self.hidden = {
            camid: torch.isin(g_camids, torch.tensor(protocol.blind_cameras(camid))).nonzero().flatten()
            for camid in {query for query, _ in protocol.blind_pairs}
        }

    def same_id(self, block: slice) -> tuple[Pairs, Pairs]:
        """Lists the gallery images of each query's identity, except those in cameras it never sees.

        Args:
            block (slice): Queries.

        Returns:
            tuple[Pairs, Pairs]: Pairs that match, and pairs that are left out: row in the block and column in the
            gallery of each pair, int64, sorted by both.
        """
        # In NumPy: arrays are small, and starting torch's threads for them costs more than the work.
        counts = self.num_same[block].numpy()
        row = np.repeat(np.arange(len(counts)), counts)
        within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        column = self._by_id.numpy()[np.repeat(self._first[block].numpy(), counts) + within]
        q_camids, g_camids = np.repeat(self.q_camids[block].numpy(), counts), self.g_camids.numpy()[column]
        seen = np.ones(len(row), dtype=bool)
        for query, gallery in self.protocol.blind_pairs:
            seen &= (q_camids != query) | (g_camids != gallery)
        own_camera = (q_camids == g_camids) & self.protocol.drop_own_camera
        return tuple(
            (torch.from_numpy(row[chosen]), torch.from_numpy(column[chosen]))
            for chosen in (seen & ~own_camera, seen & own_camera)
        )

    def pairs(self, block: slice) -> BlockPairs:
        """Lists what :meth:`same_id` does, and counts what :meth:`hide` hides."""
        matches, left_out = self.same_id(block)
        counts = torch.bincount(left_out[0], minlength=block.stop - block.start)
        for camid, hidden in self.hidden.items():
            counts += (self.q_camids[block] == camid) * len(hidden)
        return BlockPairs(block, matches, left_out, counts)

    def hide(self, rows: torch.Tensor, pairs: BlockPairs) -> None:
        """Overwrites with NaN the scores (B, G) of images that the queries of a block may not see.

        NaN is ahead of nothing.
        """
        row, column = (index.to(rows.device, non_blocking=True) for index in pairs.left_out)
        rows[row, column] = math.nan
        for camid, hidden in self.hidden.items():
            blind = (self.q_camids[pairs.block] == camid).nonzero()
            blind, hidden = (index.to(rows.device, non_blocking=True) for index in (blind, hidden))
            rows[blind, hidden] = math.nan


def scorable_queries(
    q_pids: torch.Tensor,
    q_camids: torch.Tensor,
    g_pids: torch.Tensor,
    g_camids: torch.Tensor,
    protocol: Protocol = MARKET1501,
) -> torch.Tensor:
    """Returns which queries have a match left in the gallery; needs no features.

    Args:
        q_pids (torch.Tensor): Identities of the queries, shape (Q,).
        q_camids (torch.Tensor): Their cameras, shape (Q,).
        g_pids (torch.Tensor): Identities of the gallery, shape (G,).
        g_camids (torch.Tensor): Their cameras, shape (G,).
        protocol (Protocol): The rules. Defaults to those of Market-1501.

    Returns:
        torch.Tensor: Shape (Q,), bool.
    """
    cameras: dict[int, set[int]] = {}
    for pid, camid in set(zip(g_pids.tolist(), g_camids.tolist(), strict=True)):
        cameras.setdefault(pid, set()).add(camid)

    def scorable(pid: int, camid: int) -> bool:
        unseen = {camid} if protocol.drop_own_camera else set()
        return bool(cameras.get(pid, set()) - unseen - set(protocol.blind_cameras(camid)))

    pairs = zip(q_pids.tolist(), q_camids.tolist(), strict=True)
    return torch.tensor([scorable(*pair) for pair in pairs], dtype=torch.bool)
