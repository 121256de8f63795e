# Copyright (c) mmreid contributors. All rights reserved.
"""What is found out about a test set of one model; small, so that the features can be forgotten."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from mmreid.apis.calibration import Calibration, calibrate
from mmreid.evaluation.analysis import (
    CameraPairs,
    Confusion,
    camera_pairs,
    find_confusions,
    find_same,
    find_two,
    find_wrong,
    precision_recall,
)
from mmreid.evaluation.analysis.label_errors import IdentityImages
from mmreid.evaluation.functional import FeaturePairs, FeatureScores, RankingResult, rank_galleries
from mmreid.evaluation.retrieval_set import RetrievalSet

from .image_copies import find_copies
from .sources import LabeledTest

KEEP = 50  # gallery images of a query that are looked at
MOST_CAMERAS = 40


@dataclass
class Findings:
    """What is known of one test set and one model.

    Attributes:
        name (str): Name of the test set.
        rule (str): The metric, and what is left out.
        values (dict[str, float]): What the metric reports.
        details (dict[str, Any]): Its standard deviations over trials.
        query (RetrievalSet): Labels of the ranked queries, without features.
        gallery (RetrievalSet): Labels of the ranked gallery, likewise.
        ranking (RankingResult): Its first row and trial, under ``cmc='matches'``.
        cmc (np.ndarray): CMC of the protocol, from rank 1, shape (K,).
        precision (np.ndarray): Precision at fixed recalls, shape (101,).
        cameras (CameraPairs | None): Results by cameras, if there are at least two and not too many.
        calibration (Calibration | None): Scores of pairs, if there are pairs of both kinds.
        confusions (list[Confusion]): The most confused identities first.
        labels (dict[str, list]): Suspects by kind: ``same``, ``two``, ``wrong``, ``copies``.
        faults (list[str]): What could not be found out, and why.
    """

    name: str
    rule: str
    values: dict[str, float]
    details: dict[str, Any]
    query: RetrievalSet
    gallery: RetrievalSet
    ranking: RankingResult
    cmc: np.ndarray
    precision: np.ndarray
    cameras: CameraPairs | None = None
    calibration: Calibration | None = None
    confusions: list[Confusion] = field(default_factory=list)
    labels: dict[str, list] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@torch.no_grad()
def examine(test: LabeledTest, in_depth: bool = True) -> Findings:
    """Finds out what a report shows of a test set.

    Args:
        test (LabeledTest): The test set; it is evaluated if it was not.
        in_depth (bool): Also examine cameras, confusions and labels, which a report shows for the first seed of a model
            only. Defaults to True.

    Returns:
        Findings: What was found out.

    Raises:
        ValueError: If the test set cannot be ranked.
    """
    metric = test.metric
    values = metric.compute_metrics((test.query, test.gallery)) if test.values is None else test.values
    task = metric.tasks(test.query, test.gallery)[0]
    images = next(iter(task.galleries.values()))[0]
    query, gallery = task.query, task.drawn(images)
    protocol = metric.protocol(task)
    cameras = gallery.camid.unique().tolist()
    by_camera = in_depth and 1 < len(cameras) <= MOST_CAMERAS
    parts = [(gallery.camid == camera).nonzero().flatten() for camera in cameras] if by_camera else []
    scores = FeatureScores(query.feature, gallery.feature, metric.matcher, metric.device)
    labels = query.pid, query.camid, gallery.pid, gallery.camid
    ranking, *of_cameras = rank_galleries(
        scores, *labels, [None, *parts], replace(protocol, cmc='matches'), keep_top=KEEP
    )
    del scores
    left_out = 'matches in the same camera are left out' if protocol.drop_own_camera else 'all matches count'
    found = Findings(
        name=metric.name,
        rule=f'{type(metric).__name__}, {left_out}',
        values=values,
        details=dict(metric.details),
        query=replace(query, feature=None),
        gallery=replace(gallery, feature=None),
        ranking=ranking,
        cmc=metric.ranking.cmc.numpy(),
        precision=precision_recall(ranking),
        cameras=camera_pairs(query.camid, cameras, of_cameras) if by_camera else None,
    )
    if in_depth and len(cameras) > MOST_CAMERAS:
        found.faults.append(f'{len(cameras)} cameras are too many for a matrix of {MOST_CAMERAS}')
    own_camera = not protocol.drop_own_camera
    found.calibration = _tried(
        found, lambda: calibrate(query, gallery, metric.matcher, own_camera=own_camera, device=metric.device)
    )
    if in_depth:
        _check_labels(
            found, query, gallery, FeaturePairs((query.feature, gallery.feature), metric.matcher, metric.device)
        )
    return found


def _tried(found: Findings, step: Callable[[], Any]) -> Any:
    """Returns what a step finds out; if the data does not allow it, None, and the reason goes to the faults."""
    try:
        return step()
    except ValueError as error:
        found.faults.append(str(error))
        return None


def _check_labels(found: Findings, query: RetrievalSet, gallery: RetrievalSet, pairs: FeaturePairs) -> None:
    """Finds confused identities and labels that may be wrong; the queries are the first images, then the gallery."""
    found.confusions = find_confusions(found.ranking, query.pid, gallery.pid)
    found.labels['copies'] = find_copies(query.img_path + gallery.img_path)
    if found.calibration is None:
        return
    threshold = found.calibration.curve.at_eer().threshold
    pids, camids = torch.cat([query.pid, gallery.pid]), torch.cat([query.camid, gallery.camid])
    images = IdentityImages(pids)

    def scores(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return pairs.pick(first, second).cpu()

    found.labels['same'] = find_same(found.confusions, images, camids, scores, threshold)
    found.labels['two'] = find_two(images, camids, scores, threshold)
    found.labels['wrong'] = find_wrong(found.ranking, query.pid, pids, images, scores, threshold)
