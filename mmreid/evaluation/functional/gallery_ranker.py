# Copyright (c) mmreid contributors. All rights reserved.
"""Ranks one gallery under any protocol, one block of queries at a time."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from .counting import ids_ahead, ranks_of, take_columns
from .protocols import PairIndex, Pairs, Protocol
from .ranking_result import RankingResult, query_statistics
from .roc import RocCollector
from .single_shot import SingleShotDraws
from .top_lists import top_lists


class GalleryRanker:
    """Ranks one gallery, one block of queries at a time.

    Args:
        labels (tuple[torch.Tensor, ...]): ``q_pids, q_camids, g_pids, g_camids`` of all the images.
        gallery (torch.Tensor | None): Indices of those that are in this gallery; None for all.
        protocol (Protocol): The rules.
        keep_top (int): How many gallery images to list per query.
        roc_fpr (float): The highest false positive rate of the ROC that is kept; 0 for none.
    """

    def __init__(self, labels, gallery, protocol: Protocol, keep_top: int, roc_fpr: float) -> None:
        q_pids, q_camids, g_pids, g_camids = labels
        self.gallery = None if gallery is None else torch.as_tensor(gallery).cpu()
        if gallery is not None:
            g_pids, g_camids = (
                torch.as_tensor(g_pids).cpu()[self.gallery],
                torch.as_tensor(g_camids).cpu()[self.gallery],
            )
        self.index = PairIndex(q_pids, q_camids, g_pids, g_camids, protocol)
        self.work = int(self.index.num_same.sum()) * len(g_pids)  # comparisons in all
        self.protocol, self.keep_top = protocol, keep_top
        self.draws = SingleShotDraws(self.index) if protocol.cmc == 'single_shot' else None
        self.make_collector = lambda: RocCollector(roc_fpr, len(q_pids) * len(g_pids)) if roc_fpr else None
        self.collector = self.make_collector()
        self.results: list[tuple[int, dict[str, torch.Tensor]]] = []

    def add(self, rows: torch.Tensor, block: slice, pairs: tuple[Pairs, Pairs] | None = None) -> None:
        """Ranks a block of queries.

        Args:
            rows (torch.Tensor): Their scores for all the images, shape (B, number of images); NaN marks what is left
                out, see :meth:`PairIndex.hide`.
            block (slice): The queries.
            pairs (tuple[Pairs, Pairs], optional): Their :meth:`PairIndex.same_id`, if it is known.
        """
        rows = rows if self.gallery is None else take_columns(rows, self.gallery, self.work)
        (row, column), left_out = pairs or self.index.same_id(block)
        ranks, nans = ranks_of(rows, row, column, self.work)
        wrong = (nans != self.index.count_hidden(block, left_out)).nonzero()
        if len(wrong):
            self._refuse_nan(rows, block, int(wrong[0]))
        columns, best = query_statistics(
            ranks, row, column, len(rows), self.protocol.ap, self.protocol.cmc == 'matches'
        )
        if self.protocol.cmc == 'ids':
            places = 1 + ids_ahead(rows, best, self.index.codes, self.index.num_ids, self.work)
            columns['places'] = places.where(best >= 0, 0)[:, None]
        elif self.draws is not None:
            columns['places'] = self.draws.places(rows, row, column)
        if self.keep_top:
            top, columns['top_scores'] = (part.cpu() for part in top_lists(rows, self.keep_top))
            columns['top'] = top if self.gallery is None else self.gallery[top].where(top >= 0, -1)
        if self.collector is not None:
            self.collector.add(rows, row, column)
        self.results.append((block.start, columns))

    def state(self) -> tuple:
        """Returns what was ranked, for :meth:`result`."""
        return self.results, self.collector.state() if self.collector else None

    def result(self, states: Sequence[tuple], max_rank: int) -> RankingResult:
        """Joins the states of all process ranks, in the order of the queries."""
        results = sorted((result for results, _ in states for result in results), key=lambda result: result[0])
        width = max(columns['places'].shape[1] for _, columns in results)
        for _, columns in results:
            columns['places'] = F.pad(columns['places'], (0, width - columns['places'].shape[1]))
        columns = {name: torch.cat([columns[name] for _, columns in results]) for name in results[0][1]}
        collector = self.make_collector()
        for _, state in states:
            if collector is not None:
                collector.join(state)
        return RankingResult(**columns, max_rank=max_rank, roc=collector.result() if collector else None)

    def _refuse_nan(self, rows: torch.Tensor, block: slice, row: int) -> None:
        """Raises ValueError naming the first NaN score of a query whose image is not left out."""
        query = block.start + row
        _, (_, left_out) = self.index.same_id(slice(query, query + 1))
        allowed = set(left_out.tolist())
        allowed.update(self.index.hidden.get(int(self.index.q_camids[query]), torch.zeros(0)).tolist())
        image = next(j for j in rows[row].isnan().nonzero().flatten().tolist() if j not in allowed)
        image = image if self.gallery is None else int(self.gallery[image])
        raise ValueError(
            f'the score of query {query} and gallery image {image} is NaN, so they cannot be ranked; where scores '
            'come from features, check the weights and, under half precision, overflow'
        )
