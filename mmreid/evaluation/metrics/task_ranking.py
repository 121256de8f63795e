# Copyright (c) mmreid contributors. All rights reserved.
"""Ranks the galleries of a retrieval task, plain and after the steps of ``post``."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mmreid.evaluation.functional import (
    CachedScores,
    FeatureScores,
    PrefilteredScores,
    Protocol,
    RankingResult,
    check_finite,
    rank,
    rank_galleries,
)
from mmreid.evaluation.postprocessing import PostProcess, post_process
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.evaluation.retrieval_task import RetrievalTask
from mmreid.models.matchers.base import Matcher


@dataclass
class TaskRanker:
    """Ranks tasks; for the options see :class:`FeatureMetric`."""

    matcher: Matcher
    device: torch.device
    post: Sequence[PostProcess]
    max_rank: int
    roc_fpr: float
    keep_top: int
    prefilter_topk: int | None
    keep_scores: bool

    def rank(self, task: RetrievalTask, protocol: Protocol) -> tuple[dict[str, list[RankingResult]], RetrievalSet]:
        """Ranks all galleries of a task; the process ranks share the queries.

        Args:
            task (RetrievalTask): The task.
            protocol (Protocol): Its rules.

        Returns:
            tuple[dict[str, list[RankingResult]], RetrievalSet]: For each row, plain rows first, the results of all
            trials; and the gallery images that their lists refer to.
        """
        query, gallery = task.query, task.gallery
        for step in self.post:
            step.check(query.feature, self.matcher)
        rows = [row for row, trials in task.galleries.items() for _ in trials]
        drawn = [images for trials in task.galleries.values() for images in trials]
        if all(images is not None for images in drawn):  # only images that are in some gallery need scores
            used, places = torch.cat(drawn).unique(return_inverse=True)
            gallery, drawn = gallery.take(used), list(places.split([len(images) for images in drawn]))
        scores = self._scores(query, gallery)
        options = dict(protocol=protocol, max_rank=self.max_rank, roc_fpr=self.roc_fpr, sharded=True)
        labels = query.pid, query.camid
        results = rank_galleries(scores, *labels, gallery.pid, gallery.camid, drawn, keep_top=self.keep_top, **options)
        cached = scores if isinstance(scores, CachedScores) else None
        del scores
        ranked: dict[str, list[RankingResult]] = {row: [] for row in rows}
        for row, result in zip(rows, results, strict=True):
            ranked[row].append(result)
        if self.post:
            for row, images in zip(rows, drawn, strict=True):
                part = gallery if images is None else gallery.take(images)
                known = cached if cached is None or images is None else cached.choose(images)
                changed = post_process(self.post, query, part, self.matcher, self.device, known)
                result = rank(changed, *labels, part.pid, part.camid, **options)
                ranked.setdefault(row + suffix_of(self.post), []).append(result)
        return ranked, gallery

    def _scores(self, query: RetrievalSet, gallery: RetrievalSet) -> FeatureScores | PrefilteredScores | CachedScores:
        feats = query.feature, gallery.feature
        if self.prefilter_topk is not None:
            for images, role in ((query, 'query'), (gallery, 'gallery')):
                check_finite(images.feature, role, images.img_path)
            return PrefilteredScores(*feats, self.matcher, self.prefilter_topk, self.device)
        scores = FeatureScores(*feats, self.matcher, device=self.device, names=(query.img_path, gallery.img_path))
        return CachedScores(scores) if self.keep_scores and self.post else scores


def suffix_of(post: Sequence[PostProcess]) -> str:
    """Returns the end of the names of rows after these steps."""
    return ''.join(f'+{step.label}' for step in post)
