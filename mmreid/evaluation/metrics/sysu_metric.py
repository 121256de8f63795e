# Copyright (c) mmreid contributors. All rights reserved.
"""The metric of SYSU-MM01: all and indoor search, single- and multi-shot, trials with drawn galleries."""

import logging
from collections.abc import Sequence
from itertools import product

import torch

from mmreid.evaluation.functional import SYSU_MM01, Protocol
from mmreid.evaluation.functional.gallery_draws import (
    draw_official,
    draw_seeded_trials,
    group_images,
    read_permutations,
)
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.evaluation.retrieval_task import RetrievalTask
from mmreid.registry import METRICS

from .feature_metric import FeatureMetric

CAMERAS = dict(all=(0, 1, 3, 4), indoor=(0, 1))
SHOTS = {1: 'single', 10: 'multi'}


@METRICS.register_module()
class SYSUMetric(FeatureMetric):
    """CMC, mAP and mINP under the protocol of SYSU-MM01 (Wu et al., ICCV 2017), in percent.

    The test set needs ``mode='all'``: all infrared queries and all visible images, from which each trial draws a
    gallery. Queries of camera 3 do not see camera 2, Rank-k counts identities, and values are means over the trials.
    Rows are named ``all-single``, ``all-multi``, ``indoor-single`` and ``indoor-multi``.

    Args:
        mode (str | Sequence[str]): ``'all'``, ``'indoor'``, or both. Defaults to ``'all'``.
        shot (int | Sequence[int]): Images per identity and camera in a gallery: 1, 10, or both. Defaults to 1.
        trials (int): Number of galleries. Defaults to 10.
        gallery (str): ``'seeded'``: drawn with Python's generator, seeded with the number of the trial, as in published
            Python code; ``'official'``: drawn with ``official_mat``. Results differ a little. Defaults to ``'seeded'``.
        official_mat (str, optional): Path of ``rand_perm_cam.mat``, from the evaluation code of the data set's authors;
            reading it needs SciPy. Defaults to None.
        **kwargs: See :class:`FeatureMetric`.
    """

    LOST_LEVEL = logging.INFO  # 1,595 of the 3,803 queries show people who were never indoors

    def __init__(
        self,
        mode: str | Sequence[str] = 'all',
        shot: int | Sequence[int] = 1,
        trials: int = 10,
        gallery: str = 'seeded',
        official_mat: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.modes = (mode,) if isinstance(mode, str) else tuple(mode)
        self.shots = (shot,) if isinstance(shot, int) else tuple(shot)
        if not self.modes or set(self.modes) - set(CAMERAS):
            raise ValueError(f"mode={mode!r} of SYSUMetric is unknown; use 'all', 'indoor' or both")
        if not self.shots or min(self.shots) < 1 or trials < 1:
            raise ValueError(f'shot={shot!r} and trials={trials!r} of SYSUMetric must be at least 1')
        if gallery not in ('seeded', 'official'):
            raise ValueError(f"gallery={gallery!r} of SYSUMetric is unknown; use 'seeded' or 'official'")
        if (gallery == 'official') != (official_mat is not None):
            raise ValueError(
                f"gallery={gallery!r} and official_mat={official_mat!r} of SYSUMetric do not fit: gallery='official' "
                "needs the path of rand_perm_cam.mat, gallery='seeded' none"
            )
        self.trials = trials
        self.permutations = read_permutations(official_mat) if official_mat is not None else None

    def tasks(self, query: RetrievalSet, gallery: RetrievalSet) -> list[RetrievalTask]:
        """One task with the galleries of all modes, shots and trials, whose scores are computed once."""
        galleries = {
            f'{mode}-{SHOTS.get(shot, f"{shot}-shot")}': self._draw(gallery, mode, shot)
            for mode, shot in product(self.modes, self.shots)
        }
        return [RetrievalTask(query, gallery, galleries)]

    def protocol(self, task: RetrievalTask) -> Protocol:
        """Camera 3 does not see camera 2; Rank-k counts identities."""
        return SYSU_MM01

    def _draw(self, gallery: RetrievalSet, mode: str, shot: int) -> list[torch.Tensor]:
        counts = {camid + 1: int((gallery.camid == camid).sum()) for camid in CAMERAS[mode]}
        if not all(counts.values()):
            found = ', '.join(f'{count} of camera {camera}' for camera, count in counts.items())
            raise ValueError(
                f'the {mode} search needs gallery images of cameras {", ".join(map(str, counts))}, but there are '
                f"{found}; set mode='all' of the data set, or mode='indoor' of SYSUMetric"
            )
        groups = group_images(gallery.pid, gallery.camid, gallery.image_index)
        groups = {key: images for key, images in groups.items() if key[1] in CAMERAS[mode]}
        if self.permutations is None:
            return draw_seeded_trials(groups, shot, self.trials)
        return [draw_official(groups, shot, trial, self.permutations) for trial in range(self.trials)]
