# Copyright (c) mmreid contributors. All rights reserved.
"""Finds and draws the best matching locations of two feature maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from .image_row import SIZE, draw_row, heat_colors
from .rank_list import WHITE

RADIUS = 4  # of the mark at a location in pixels


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
    lines: Sequence[str] = (),
    size: tuple[int, int] = SIZE,
) -> np.ndarray:
    """Draws two images side by side and lines between matched places, from blue (weakest) to red (strongest).

    Args:
        images (Sequence[np.ndarray]): Two images (H, W, 3), BGR, uint8.
        correspondences (Sequence[Correspondence]): From :func:`find_correspondences`.
        map_size (tuple[int, int]): Height and width of the maps.
        lines (Sequence[str]): Lines of text below. Defaults to ().
        size (tuple[int, int]): Height and width of each image in pixels. Defaults to (384, 192).

    Returns:
        np.ndarray: Shape (H, W, 3), BGR, uint8.
    """
    strengths = [match.strength for match in correspondences]
    low, high = min(strengths, default=0.0), max(strengths, default=1.0)
    canvas, corners = draw_row(images, (f'{low:.2f}', f'{high:.2f}'), lines, size, gap=size[1] // 2)
    cell = size[0] / map_size[0], size[1] / map_size[1]
    for match in reversed(correspondences):  # the strongest on top
        color = heat_colors((match.strength - low) / (high - low) if high > low else 1.0).tolist()
        ends = [
            (left + round((column + 0.5) * cell[1]), top + round((row + 0.5) * cell[0]))
            for (row, column), (left, top) in zip((match.first, match.second), corners, strict=True)
        ]
        cv2.line(canvas, *ends, color, 1, cv2.LINE_AA)
        for end in ends:
            cv2.circle(canvas, end, RADIUS + 1, WHITE, -1, cv2.LINE_AA)
            cv2.circle(canvas, end, RADIUS, color, -1, cv2.LINE_AA)
    return canvas
