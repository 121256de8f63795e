# Copyright (c) mmreid contributors. All rights reserved.
"""Ranks one gallery under any protocol, one block of queries at a time."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from .counting import first_matches, ids_ahead, ranks_of, take_columns
from .protocols import BlockPairs, PairIndex
from .ranking_result import RankingResult, query_statistics
from .roc import RocCollector
from .single_shot import SingleShotDraws
from .top_lists import top_lists

WAITING_BYTES = 2**23  # of ranks and lists on the device before they are moved to the host


class GalleryRanker:
    """Ranks one gallery, one block of queries at a time. On a GPU, the host waits for the last block only.

    Args:
        index (PairIndex): The queries and this gallery.
        gallery (torch.Tensor | None): Indices, among all the images, of those that are in it; None for all.
        rows_of (Callable[[slice], torch.Tensor]): Returns what :meth:`add` gets for a block, for error messages.
        keep_top (int): How many gallery images to list per query.
        roc_fpr (float): The highest false positive rate of the ROC that is kept; 0 for none.
    """

    def __init__(
        self,
        index: PairIndex,
        gallery: torch.Tensor | None,
        rows_of: Callable[[slice], torch.Tensor],
        keep_top: int,
        roc_fpr: float,
    ) -> None:
        self.index, self.gallery, self.rows_of, self.keep_top = index, gallery, rows_of, keep_top
        self.on_device = gallery
        self.work = int(index.num_same.sum()) * len(index.codes)  # comparisons in all
        self.protocol = index.protocol
        self.draws = SingleShotDraws(index) if self.protocol.cmc == 'single_shot' else None
        num_pairs = len(index.q_camids) * len(index.codes)
        self.make_collector = lambda: RocCollector(roc_fpr, num_pairs) if roc_fpr else None
        self.collector = self.make_collector()
        self.waiting: list[tuple[BlockPairs, dict[str, torch.Tensor]]] = []
        self.results: list[tuple[torch.Tensor, dict[str, torch.Tensor]]] = []

    def add(self, rows: torch.Tensor, pairs: BlockPairs) -> None:
        """Ranks a block of queries.

        Args:
            rows (torch.Tensor): Their scores for all the images, shape (B, number of images); NaN marks what is left
                out, see :meth:`PairIndex.hide`.
            pairs (BlockPairs): What they have to find in this gallery, see :meth:`PairIndex.pairs`.
        """
        if self.gallery is not None:
            self.on_device = self.on_device.to(rows.device, non_blocking=True)
            rows = take_columns(rows, self.on_device, self.work)
        row, column = pairs.matches
        found = {}
        found['ranks'], found['nans'] = ranks_of(rows, row, column, self.work)
        if self.protocol.cmc == 'ids':
            best = first_matches(found['ranks'], row, column, len(rows))
            places = 1 + ids_ahead(rows, best, self.index.codes, self.index.num_ids, self.work)
            found['places'] = places.where(best >= 0, 0)[:, None]
        elif self.draws is not None:
            found['places'] = self.draws.places(rows, row, column)
        if self.keep_top:
            found['top'], found['top_scores'] = top_lists(rows, self.keep_top)
        if self.collector is not None:
            self.collector.add(rows, row, column)
        self.waiting.append((pairs, found))
        if sum(value.nbytes for _, part in self.waiting for value in part.values()) > WAITING_BYTES:
            self._finish()

    def state(self) -> tuple:
        """Returns what was ranked, for :meth:`result`."""
        self._finish()
        return self.results, self.collector.state() if self.collector else None

    def result(self, states: Sequence[tuple], max_rank: int) -> RankingResult:
        """Joins the states of all process ranks, in the order of the queries."""
        results = [result for results, _ in states for result in results]
        order = torch.cat([queries for queries, _ in results]).argsort()
        width = max(columns['places'].shape[1] for _, columns in results)
        for _, columns in results:
            columns['places'] = F.pad(columns['places'], (0, width - columns['places'].shape[1]))
        columns = {name: torch.cat([columns[name] for _, columns in results])[order] for name in results[0][1]}
        collector = self.make_collector()
        for _, state in states:
            if collector is not None:
                collector.join(state)
        return RankingResult(**columns, max_rank=max_rank, roc=collector.result() if collector else None)

    def _finish(self) -> None:
        """Moves what waits on the device to the host, and turns it into the values of queries."""
        if not self.waiting:
            return
        blocks, parts = zip(*self.waiting, strict=True)
        self.waiting = []
        found = {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}
        queries = torch.cat([torch.arange(pairs.block.start, pairs.block.stop) for pairs in blocks])
        wrong = found.pop('nans') != torch.cat([pairs.num_hidden for pairs in blocks])
        if wrong.any():
            self._refuse_nan(int(queries[wrong][0]))
        first_row = torch.tensor([0, *(len(pairs.num_hidden) for pairs in blocks)]).cumsum(0).tolist()
        row = torch.cat([pairs.matches[0] + first for pairs, first in zip(blocks, first_row, strict=False)])
        column = torch.cat([pairs.matches[1] for pairs in blocks])
        rules = self.protocol.ap, self.protocol.cmc == 'matches'
        columns = query_statistics(found.pop('ranks'), row, column, len(queries), *rules)[0] | found
        if self.keep_top and self.gallery is not None:
            columns['top'] = self.gallery[columns['top']].where(columns['top'] >= 0, -1)
        self.results.append((queries, columns))

    def _refuse_nan(self, query: int) -> None:
        """Raises ValueError naming the first NaN score of a query whose image is not left out."""
        pairs = self.index.pairs(slice(query, query + 1))
        allowed = set(pairs.left_out[1].tolist())
        allowed.update(self.index.hidden.get(int(self.index.q_camids[query]), torch.zeros(0)).tolist())
        row = self.rows_of(pairs.block)[0].cpu()
        row = row if self.gallery is None else row[self.gallery]
        image = next(j for j in row.isnan().nonzero().flatten().tolist() if j not in allowed)
        image = image if self.gallery is None else int(self.gallery[image])
        raise ValueError(
            f'the score of query {query} and gallery image {image} is NaN, so they cannot be ranked; where scores '
            'come from features, check the weights and, under half precision, overflow'
        )
