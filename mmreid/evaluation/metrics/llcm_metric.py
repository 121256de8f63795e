# Copyright (c) mmreid contributors. All rights reserved.
"""The metric of LLCM: both directions, trials with drawn galleries."""

from collections.abc import Sequence

from mmreid.evaluation.functional import LLCM, Protocol
from mmreid.evaluation.functional.gallery_draws import draw_seeded_trials, group_images
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.evaluation.retrieval_task import RetrievalTask
from mmreid.registry import METRICS

from .directions import read_directions, take_direction
from .feature_metric import FeatureMetric

DIRECTIONS = dict(i2v=('infrared', 'visible'), v2i=('visible', 'infrared'))


@METRICS.register_module()
class LLCMMetric(FeatureMetric):
    """CMC, mAP and mINP under the protocol of LLCM (Zhang and Wang, CVPR 2023), in percent.

    Each trial draws one gallery image per identity and camera, with Python's generator seeded by the number of the
    trial. Images of the query's identity from the query's camera are left out, Rank-k counts identities, and values are
    means over the trials. Rows are named ``i2v`` and ``v2i``.

    Args:
        directions (str | Sequence[str]): ``'i2v'`` (infrared queries, visible gallery), ``'v2i'`` (the reverse), or
            both. Defaults to ``('i2v', 'v2i')``.
        trials (int): Number of galleries. Defaults to 10.
        **kwargs: See :class:`FeatureMetric`.
    """

    def __init__(self, directions: str | Sequence[str] = ('i2v', 'v2i'), trials: int = 10, **kwargs) -> None:
        super().__init__(**kwargs)
        if trials < 1:
            raise ValueError(f'trials={trials!r} of LLCMMetric must be at least 1')
        self.directions = read_directions(directions, DIRECTIONS, 'LLCMMetric')
        self.trials = trials

    def tasks(self, query: RetrievalSet, gallery: RetrievalSet) -> list[RetrievalTask]:
        """One task per direction, in which the scores of all trials are computed once."""
        tasks = []
        for name in self.directions:
            queries, images = take_direction(query, gallery, DIRECTIONS[name])
            groups = group_images(images.pid, images.camid, images.image_index)
            tasks.append(RetrievalTask(queries, images, {name: draw_seeded_trials(groups, 1, self.trials)}))
        return tasks

    def protocol(self, task: RetrievalTask) -> Protocol:
        """Leaves out the query's own camera; Rank-k counts identities."""
        return LLCM
