# Copyright (c) mmreid contributors. All rights reserved.
"""Finds and draws the best matching locations of two feature maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from .captions import write_caption
from .rank_list import CAPTION, GAP, LINE, WHITE

CELL = 4  # radius of the mark at a location in pixels


@dataclass(frozen=True)
class Correspondence:
    """Two locations, one of which is the best match of the other.

    Attributes:
        first (tuple[int, int]): Row and column in the first map.
        second (tuple[int, int]): Row and column in the second map.
        strength (float): Their inner product, the cosine similarity for normalized maps.
    """

    first: tuple[int, int]
    second: tuple[int, int]
    strength: float


def find_correspondences(first: torch.Tensor, second: torch.Tensor, top: int = 20) -> list[Correspondence]:
    """Finds the best matches of the locations of two maps in both directions, as query-adaptive convolution does.

    Args:
        first (torch.Tensor): A map, shape (C, H, W), each location L2-normalized.
        second (torch.Tensor): A map, likewise.
        top (int): Most correspondences to return. Defaults to 20.

    Returns:
        list[Correspondence]: Strongest first, each pair of locations once.

    Raises:
        ValueError: If these are not maps with the same number of channels.
    """
    if first.ndim != 3 or second.ndim != 3 or len(first) != len(second):
        raise ValueError(
            f'correspondences need two maps (C, H, W), but the features have shapes {tuple(first.shape)} and '
            f'{tuple(second.shape)}; use a model whose features are maps, such as PairwiseReID'
        )
    products = first.detach().float().flatten(1).t() @ second.detach().float().flatten(1)
    places = torch.arange(products.shape[0]), products.argmax(1).cpu()
    back = products.argmax(0).cpu(), torch.arange(products.shape[1])
    pairs = torch.cat([torch.stack(places, 1), torch.stack(back, 1)]).unique(dim=0)
    strengths = products.cpu()[pairs[:, 0], pairs[:, 1]]
    order = strengths.argsort(descending=True, stable=True)[:top].tolist()
    return [
        Correspondence(
            divmod(int(pairs[i, 0]), first.shape[2]), divmod(int(pairs[i, 1]), second.shape[2]), float(strengths[i])
        )
        for i in order
    ]


def draw_correspondences(
    images: Sequence[np.ndarray],
    correspondences: Sequence[Correspondence],
    map_size: tuple[int, int],
    caption: str = '',
    size: tuple[int, int] = (384, 128),
) -> np.ndarray:
    """Draws two images side by side and lines between matched places, from blue (weakest) to red (strongest).

    Args:
        images (Sequence[np.ndarray]): Two images (H, W, 3), BGR, uint8.
        correspondences (Sequence[Correspondence]): From :func:`find_correspondences`.
        map_size (tuple[int, int]): Height and width of the maps.
        caption (str): Text below the images. Defaults to ''.
        size (tuple[int, int]): Height and width of each image in pixels. Defaults to (384, 128).

    Returns:
        np.ndarray: Shape (H, W, 3), BGR, uint8.
    """
    height, width = size
    gap = width // 2
    canvas = np.full((height + 2 * GAP + CAPTION + 2 * LINE, 2 * (width + GAP) + gap, 3), WHITE, np.uint8)
    lefts = GAP, GAP + width + gap
    for image, left in zip(images, lefts, strict=True):
        shown = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        canvas[GAP : GAP + height, left : left + width] = shown
    strengths = [match.strength for match in correspondences]
    low, high = min(strengths, default=0.0), max(strengths, default=1.0)
    for match in reversed(correspondences):  # the strongest on top
        fraction = (match.strength - low) / (high - low) if high > low else 1.0
        level = np.array([[round(55 + 200 * fraction)]], np.uint8)
        color = tuple(int(value) for value in cv2.applyColorMap(level, cv2.COLORMAP_JET)[0, 0])
        ends = [
            (left + round((column + 0.5) * width / map_size[1]), GAP + round((row + 0.5) * height / map_size[0]))
            for (row, column), left in zip((match.first, match.second), lefts, strict=True)
        ]
        cv2.line(canvas, *ends, color, 1, cv2.LINE_AA)
        for end in ends:
            cv2.circle(canvas, end, CELL, color, -1, cv2.LINE_AA)
    legend = f'{len(correspondences)} matches, {low:.2f} (blue) .. {high:.2f} (red)'
    for number, text in enumerate((caption, legend)):
        write_caption(canvas, text, (GAP, height + 2 * GAP + 12 + LINE * number))
    return canvas
