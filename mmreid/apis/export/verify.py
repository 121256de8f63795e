# Copyright (c) mmreid contributors. All rights reserved.
"""Runs an exported model on image files as its consumer does, and compares with what mmreid computes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from mmreid.apis.inferencer import ReIDInferencer
from mmreid.apis.preprocessing import resized
from mmreid.datasets.transforms.loading import read_image
from mmreid.models import BaseReID
from mmreid.structures import Preprocessing

from .exported import Exported
from .targets import MIN_COSINE_FP16, Target

BATCH, QUERIES = 32, 8
#: Largest difference of scores of maps, relative to the largest score; in half precision.
SCORE_TOLERANCE, SCORE_TOLERANCE_FP16 = 1e-3, 2e-2


@dataclass(frozen=True)
class Verification:
    """How close the consumer's result comes to ours.

    Attributes:
        num_images (int): Images compared.
        cosine (float): The lowest cosine of an image, of what the consumer computes to what mmreid computes.
        image (str): The image that has it.
        required (float): The least cosine that is accepted.
    """

    num_images: int
    cosine: float
    image: str
    required: float


def verify(
    exported: Exported, model: BaseReID, target: Target, images: Any, modality: str | None = None
) -> Verification:
    """Compares an export with its model on image files.

    Args:
        exported (Exported): The export.
        model (BaseReID): The model that it was made from.
        target (Target): Whose arithmetic is applied to the images.
        images (Any): Paths, folders or globs of image files.
        modality (str, optional): Of the images, for a model of both. Defaults to None.

    Returns:
        Verification: The comparison.

    Raises:
        CorruptImageError: If an image cannot be read.
        ValueError: If a cosine, or a score of maps, is out of tolerance.
    """
    is_fp16 = exported.description['precision'] == 'fp16'
    inferencer = ReIDInferencer(model, device=next(model.parameters()).device, batch_size=BATCH)
    wanted, names = inferencer.extract(images, modality=modality, return_names=True, progress=False)
    found = np.concatenate(list(_consumed(exported, names, target, inferencer.contract.preprocessing)))
    cosines = _cosines(found, wanted)
    # NaN counts as the lowest.
    worst = int(np.nan_to_num(cosines, nan=-np.inf).argmin())
    required = min(target.min_cosine, MIN_COSINE_FP16) if is_fp16 else target.min_cosine
    result = Verification(len(names), float(cosines[worst]), names[worst], required)
    if not result.cosine >= required:
        raise ValueError(
            f'{names[worst]} as {target.name} prepares it: the cosine of the export to the model is '
            f'{result.cosine:.6f}, below {required} ({_cause(exported, target, inferencer.contract.preprocessing)}); '
            'nothing was written'
        )
    if exported.open_scorer is not None:
        _compare_scores(exported, model, found, wanted, SCORE_TOLERANCE_FP16 if is_fp16 else SCORE_TOLERANCE)
    return result


def consumer_input(image: np.ndarray, target: Target, steps: Preprocessing) -> np.ndarray:
    """Prepares an image (H, W, 3), BGR, uint8, as a consumer does it: (3, height, width), float32."""
    if target.resize == 'torch':
        rgb = torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))).float()
        # On the scale that the consumer has at this point; the order of both steps does not matter to a linear resize.
        pixels = F.interpolate(rgb[None], size=steps.size, mode='bilinear', align_corners=False)[0].numpy()
    elif target.resize == 'cv2':
        bgr = cv2.resize(image, steps.size[::-1], interpolation=cv2.INTER_LINEAR)
        pixels = bgr[..., ::-1].transpose(2, 0, 1)
    else:
        pixels = resized(image, steps).numpy()[::-1]
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (target.mean, target.std))
    return (pixels.astype(np.float32) / np.float32(target.scale) - mean) / std


def _consumed(exported: Exported, names: Sequence[str], target: Target, steps: Preprocessing) -> Iterator[np.ndarray]:
    """Runs one image, then the others in batches, so that the batch axis is seen to be dynamic."""
    run = exported.open_network()
    starts = [0, *range(1, len(names), BATCH)]
    for start, stop in zip(starts, [*starts[1:], len(names)], strict=True):
        yield run(np.stack([consumer_input(read_image(name), target, steps) for name in names[start:stop]]))


def _cosines(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    a, b = (torch.from_numpy(np.asarray(values, np.float64)).flatten(1) for values in (found, wanted))
    return F.cosine_similarity(a, b).numpy()


@torch.no_grad()
def _compare_scores(
    exported: Exported, model: BaseReID, found: np.ndarray, wanted: np.ndarray, tolerance: float
) -> None:
    """Compares scores of a few queries, computed by the consumer from end to end."""
    maps = torch.from_numpy(wanted[:BATCH]).to(next(model.parameters()).device)
    ours = model.matcher(maps[:QUERIES], maps).cpu().numpy()
    theirs = exported.open_scorer()(found[:QUERIES], found[:BATCH])
    difference = float(np.abs(ours - theirs).max() / (1 + np.abs(ours).max()))
    if not difference <= tolerance:
        raise ValueError(
            f'the scores of the exported scorer differ by {difference:.2e} of the largest one, more than {tolerance}; '
            'nothing was written'
        )


def _cause(exported: Exported, target: Target, steps: Preprocessing) -> str:
    made_for = exported.description['target']
    if made_for != target.name:
        return f'the file was made for {made_for}, and a file serves one consumer only'
    if target.resize != 'model' and (steps.resize_backend, steps.interpolation) != ('cv2', 'bilinear'):
        return (
            f'it resizes bilinearly, but the model was trained with {steps.resize_backend}, {steps.interpolation}: '
            "train with cv2, bilinear, or give images of the model's size"
        )
    if exported.description['precision'] == 'fp16':
        return 'export without --fp16'
    return "images much larger than the network's input depend on how they are resized"
