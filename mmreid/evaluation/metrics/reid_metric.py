# Copyright (c) mmreid contributors. All rights reserved.
"""The metric of re-ID test sets of one modality."""

import logging
from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from mmengine.utils import is_seq_of

from mmreid.evaluation.functional import Protocol
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.evaluation.retrieval_task import RetrievalTask
from mmreid.registry import METRICS

from .feature_metric import FeatureMetric


@METRICS.register_module()
class ReIDMetric(FeatureMetric):
    """CMC, mAP and mINP of one test set, in percent.

    Args:
        cross_camera (bool | str): Whether gallery images of the query's identity from the query's camera are left
            out. ``'auto'`` does so if the test set has at least two cameras, and logs which rule applies. Defaults to
            ``'auto'``.
        ap (str): ``'precision'``, or ``'trapezoid'`` for the lower values of ECN's code, see :class:`Protocol`.
            Defaults to ``'precision'``.
        cmc (str): What Rank-k counts: ``'images'``, distinct ``'ids'``, ``'single_shot'`` for galleries of one image
            per identity (CUHK03's first protocol), or ``'matches'`` for all matches instead of the first, see
            :class:`Protocol`. Defaults to ``'images'``.
        trials (int): Number of galleries that ``cmc='single_shot'`` draws. Defaults to 10.
        roc_fpr (Sequence[float]): False positive rates at which to report the true positive rate (``TPR@<rate>``).
            Defaults to ().
        **kwargs: See :class:`FeatureMetric`.
    """

    def __init__(
        self,
        cross_camera: bool | str = 'auto',
        ap: str = 'precision',
        cmc: str = 'images',
        trials: int = 10,
        roc_fpr: Sequence[float] = (),
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if cross_camera not in (True, False, 'auto'):
            raise ValueError(f"cross_camera={cross_camera!r} of ReIDMetric is unknown; use 'auto', True or False")
        if not is_seq_of(roc_fpr, (int, float)) or not all(0 < fpr < 1 for fpr in roc_fpr):
            raise ValueError(f'roc_fpr={roc_fpr!r} of ReIDMetric must list rates between 0 and 1, such as (1e-3, 1e-4)')
        self.cross_camera = cross_camera
        self.roc_fpr = tuple(roc_fpr)
        self.rules = dict(ap=ap, cmc=cmc, trials=trials)
        Protocol(**self.rules)  # raises ValueError for unknown values

    def tasks(self, query: RetrievalSet, gallery: RetrievalSet) -> list[RetrievalTask]:
        """One task: all queries, the whole gallery."""
        return [RetrievalTask(query, gallery, {'': [None]})]

    def protocol(self, task: RetrievalTask) -> Protocol:
        """The rules of Market-1501, with the options."""
        camids = torch.cat([task.query.camid, task.gallery.camid])
        return Protocol(drop_own_camera=self.use_cross_camera(camids), **self.rules)

    def use_cross_camera(self, camids: torch.Tensor) -> bool:
        """Returns whether the same-camera rule applies to a test set with these cameras (N,)."""
        if self.cross_camera == 'auto':
            return len(camids.unique()) > 1
        return self.cross_camera

    def _log_rule(self, protocol: Protocol, num_images: int) -> None:
        if self.cross_camera == 'auto' and not protocol.drop_own_camera:
            print_log(
                f'{self.name} | all {num_images} images are of one camera, so matches in the same camera count, which '
                'are easier to find than those of published protocols: give camera ids, or accept it with '
                'cross_camera=False in the evaluator',
                'current',
                level=logging.WARNING,
            )
            return
        rule = 'left out' if protocol.drop_own_camera else 'kept'
        unit = (self.dataset_meta or {}).get('camera_unit', 'camera')
        note = (
            '' if unit == 'camera' else f'; {unit}s count as cameras, so results do not show recognition across cameras'
        )
        print_log(
            f'{self.name} | matches in the same {unit} are {rule} (cross_camera={self.cross_camera!r}){note}', 'current'
        )

    def _where_hidden(self, num_cameras: int) -> str:
        return (
            f'in their own camera (cameras in the data: {num_cameras}): give camera ids, or count matches in the same '
            'camera with --cfg-options val_evaluator.cross_camera=False test_evaluator.cross_camera=False'
        )
