# Copyright (c) mmreid contributors. All rights reserved.
"""The metric of RegDB: both directions from one extraction."""

from collections.abc import Sequence

from mmreid.evaluation.functional import REGDB, Protocol
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.evaluation.retrieval_task import RetrievalTask
from mmreid.registry import METRICS

from .directions import read_directions, take_direction
from .feature_metric import FeatureMetric

DIRECTIONS = dict(v2t=('visible', 'infrared'), t2v=('infrared', 'visible'))


@METRICS.register_module()
class RegDBMetric(FeatureMetric):
    """CMC, mAP and mINP under the protocol of RegDB (Nguyen et al., Sensors 2017), in percent.

    All test images of one modality are ranked for those of the other, without a camera rule. Both directions come from
    one extraction, whatever the ``direction`` of the data set: only the roles change. Rows are named ``v2t`` and
    ``t2v``.

    Args:
        directions (str | Sequence[str]): ``'v2t'`` (visible queries, thermal gallery), ``'t2v'`` (the reverse), or
            both. Defaults to ``('v2t', 't2v')``.
        **kwargs: See :class:`FeatureMetric`.
    """

    def __init__(self, directions: str | Sequence[str] = ('v2t', 't2v'), **kwargs) -> None:
        super().__init__(**kwargs)
        self.directions = read_directions(directions, DIRECTIONS, 'RegDBMetric')

    def tasks(self, query: RetrievalSet, gallery: RetrievalSet) -> list[RetrievalTask]:
        """One task per direction."""
        return [
            RetrievalTask(*take_direction(query, gallery, DIRECTIONS[name]), {name: [None]}) for name in self.directions
        ]

    def protocol(self, task: RetrievalTask) -> Protocol:
        """Nothing is left out."""
        return REGDB
