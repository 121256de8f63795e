# Copyright (c) mmreid contributors. All rights reserved.
"""From saved features to a threshold: the ROC of all pairs of a query and a gallery image, whole or by cameras.

Every pair is scored twice: to collect the matching pairs, and to count the wrong ones between these.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log

from mmreid.evaluation.functional import FeatureScores, Protocol
from mmreid.evaluation.functional.protocols import PairIndex, Pairs
from mmreid.evaluation.functional.verification import OperatingPoint, VerificationCounter, VerificationCurve
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.utils.progress import track

BINS = 100
MOST = 2**20  # scores at a time
#: A rate that lets fewer wrong pairs pass than this is a guess.
FEW = 10
#: Most points of a curve in a file.
POINTS = 200


@dataclass(frozen=True)
class Calibration:
    """What is known of the scores of a test set.

    Attributes:
        curve (VerificationCurve): Of all pairs.
        of_cameras (dict[str, VerificationCurve]): Of the pairs of two cameras, such as ``'0-3'``, if asked for.
        edges (np.ndarray): Borders of the bins of the histograms, shape (B + 1,).
        histograms (dict[str, np.ndarray]): ``'same'`` and ``'different'``: pairs in each bin, shape (B,).
    """

    curve: VerificationCurve
    of_cameras: dict[str, VerificationCurve]
    edges: np.ndarray
    histograms: dict[str, np.ndarray]


@torch.no_grad()
def calibrate(
    query: RetrievalSet,
    gallery: RetrievalSet,
    matcher: Callable,
    *,
    own_camera: bool = False,
    per_camera_pair: bool = False,
    device: str | torch.device | None = None,
) -> Calibration:
    """Scores every query with every gallery image, exactly, in memory that does not grow with the number of pairs.

    Args:
        query (RetrievalSet): Features and labels of the queries.
        gallery (RetrievalSet): Those of the gallery.
        matcher (Callable): What compares them.
        own_camera (bool): Also count pairs of the same person in one camera, which are easier. A file is never
            compared with itself. Defaults to False.
        per_camera_pair (bool): Also compute a curve for each two cameras. Defaults to False.
        device (str | torch.device, optional): Where to match. Defaults to None, the CPU.

    Returns:
        Calibration: The curves and the histograms.

    Raises:
        ValueError: If there is no matching pair, or no wrong one.
    """
    scores = FeatureScores(query.feature, gallery.feature, matcher, device=device)
    pairs = _Pairs(query, gallery, own_camera)
    step = min(scores.max_rows, max(1, MOST // len(gallery)))
    blocks = [slice(start, min(start + step, len(query))) for start in range(0, len(query), step)]
    match, codes, lowest, highest = [], [], np.inf, -np.inf
    for block in track(blocks, 'scoring the matching pairs'):
        rows = scores.rows(block)
        (row, column), _ = pairs.of(block)
        match.append(rows[row, column].cpu())
        codes.append(pairs.code(block, row, column))
        lowest, highest = min(lowest, float(rows.min())), max(highest, float(rows.max()))
    match, codes = torch.cat(match), torch.cat(codes)
    if not len(match):
        raise ValueError(
            f'none of {len(query)} queries has an image of its identity among {len(gallery)} gallery images'
            f'{"" if own_camera else " of other cameras; own_camera=True (--own-camera) counts its own as well"}'
        )
    whole = VerificationCounter(match)
    counters = {code: VerificationCounter(match[codes == code]) for code in codes.unique().tolist()}
    other = np.zeros(BINS)
    edges = np.linspace(lowest, max(highest, np.nextafter(lowest, np.inf)), BINS + 1)
    for block in track(blocks, 'counting the wrong pairs'):
        rows = scores.rows(block)
        pairs.hide(rows, block)
        values = rows[~rows.isnan()].cpu()
        whole.add(values)
        other += np.histogram(values.numpy(), edges)[0]
        for code, part in pairs.split(rows, block) if per_camera_pair else ():
            if code in counters:
                counters[code].add(part)
    histograms = dict(same=np.histogram(match.numpy(), edges)[0], different=other.astype(np.int64))
    of_cameras = {pairs.name(code): counter for code, counter in counters.items()} if per_camera_pair else {}
    curves = {name: counter.result() for name, counter in of_cameras.items() if counter.num_other}
    for name in of_cameras.keys() - curves:
        print_log(f'cameras {name} have no wrong pair and no curve', 'current', logging.WARNING)
    return Calibration(whole.result(), curves, edges, histograms)


class _Pairs:
    """Which pairs match, which are left out, and which two cameras they are of."""

    def __init__(self, query: RetrievalSet, gallery: RetrievalSet, own_camera: bool) -> None:
        self.index = PairIndex(query.pid, query.camid, gallery.pid, gallery.camid, Protocol(not own_camera))
        cameras, places = torch.cat([query.camid, gallery.camid]).unique(return_inverse=True)
        self.cameras = _camera_names(cameras, query, gallery)
        self.of_query, self.of_gallery = places.split([len(query), len(gallery)])
        files = {path: number for number, path in enumerate(dict.fromkeys(query.img_path + gallery.img_path))}
        self.files = [torch.tensor([files[path] for path in side.img_path]) for side in (query, gallery)]
        self.columns = [(self.of_gallery == camera).nonzero().flatten() for camera in range(len(cameras))]

    def of(self, block: slice) -> tuple[Pairs, Pairs]:
        """Returns matching pairs and pairs that are left out, as :meth:`PairIndex.same_id`."""
        (row, column), left_out = self.index.same_id(block)
        itself = self.files[0][block][row] == self.files[1][column]
        lost = tuple(torch.cat([old, new[itself]]) for old, new in zip(left_out, (row, column), strict=True))
        return (row[~itself], column[~itself]), lost

    def hide(self, rows: torch.Tensor, block: slice) -> None:
        """Leaves the wrong pairs; the others become NaN."""
        for row, column in self.of(block):
            rows[row, column] = np.nan

    def code(self, block: slice, row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        """Numbers the two cameras of pairs, in either order."""
        first, second = self.of_query[block][row], self.of_gallery[column]
        return torch.minimum(first, second) * len(self.cameras) + torch.maximum(first, second)

    def split(self, rows: torch.Tensor, block: slice) -> Iterator[tuple[int, torch.Tensor]]:
        """Divides the scores (B, G) of wrong pairs by their cameras."""
        for first in self.of_query[block].unique().tolist():
            of_camera = rows[self.of_query[block] == first]
            for second, columns in enumerate(self.columns):
                part = of_camera[:, columns].flatten()
                low, high = min(first, second), max(first, second)
                yield low * len(self.cameras) + high, part[~part.isnan()]

    def name(self, code: int) -> str:
        """Names two cameras."""
        return '-'.join(self.cameras[camera] for camera in divmod(code, len(self.cameras)))


def _camera_names(cameras: torch.Tensor, query: RetrievalSet, gallery: RetrievalSet) -> list[str]:
    names: dict[int, str | None] = {}
    for side in (query, gallery):
        names |= dict(zip(side.camid.tolist(), side.camid_name or [None] * len(side), strict=True))
    return [str(camera) if names[camera] is None else names[camera] for camera in cameras.tolist()]


def choose_point(curve: VerificationCurve, at: str | float) -> OperatingPoint:
    """Returns the threshold at the equal error rate (``'eer'``) or at a false positive rate."""
    return curve.at_eer() if at == 'eer' else curve.at_fpr(at)


def describe_curve(curve: VerificationCurve, fprs: Sequence[float]) -> dict[str, Any]:
    """Sums up a curve as plain data.

    Args:
        curve (VerificationCurve): The curve.
        fprs (Sequence[float]): False positive rates to report.

    Returns:
        dict[str, Any]: Numbers of pairs, the equal error rate, and for each rate the threshold, what it accepts, and
        whether it rests on fewer than ten wrong pairs.
    """
    return dict(
        num_same=curve.num_match,
        num_different=curve.num_other,
        eer=curve.eer(),
        at_eer=asdict(curve.at_eer()),
        at_fpr=[
            dict(asked_fpr=fpr, few_pairs=fpr * curve.num_other < FEW, **asdict(curve.at_fpr(fpr))) for fpr in fprs
        ],
    )


def explain_few(curve: VerificationCurve, fprs: Sequence[float]) -> list[str]:
    """Returns a sentence for each false positive rate that there are too few wrong pairs for."""
    return [
        f'a false positive rate of {fpr:g} lets {fpr * curve.num_other:.3g} of {curve.num_other:,} wrong pairs pass, '
        f'so its threshold is a guess; give features of at least {round(FEW / fpr):,} wrong pairs'
        for fpr in fprs
        if fpr * curve.num_other < FEW
    ]


def points_of(curve: VerificationCurve) -> list[list[float]]:
    """Returns up to 200 corners (false, true positive rate) of a curve, as close together at low rates as at high."""
    false, true = (values.numpy() for values in curve.corners())
    places = np.unique(np.geomspace(1, len(false), POINTS).round().astype(int)) - 1
    return np.stack([false, true], 1)[places].round(9).tolist()
