# Copyright (c) mmreid contributors. All rights reserved.
"""Draws a batch as the model gets it, to show its identities, modalities and augmentations."""

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from mmreid.structures import ReIDDataSample

from .captions import write_caption

PAPER = (255, 255, 255)  # B G R
INFRARED_PAPER = (205, 205, 205)
FRAME = 4
GAP = 6
LINE, LETTERS = 14, 0.38  # height of a line of text in pixels, and of letters as OpenCV counts it
LEAST_WIDTH = 104  # of an image in pixels, so that its caption fits
COLUMNS = 8


def draw_batch(images: np.ndarray, data_samples: Sequence[ReIDDataSample], title: str = '') -> np.ndarray:
    """Draws a batch in its order, with frames in one color for each identity.

    If the batch consists of runs of K images of one identity, no run is split over two rows. Infrared images have a
    gray background.

    Args:
        images (np.ndarray): Shape (N, H, W, 3), BGR, uint8.
        data_samples (Sequence[ReIDDataSample]): Their labels, N.
        title (str): Written above. Defaults to ''.

    Returns:
        np.ndarray: Shape (H', W', 3), BGR, uint8.
    """
    identities = [_identity(sample) for sample in data_samples]
    order = list(dict.fromkeys(identities))
    colors = identity_colors(len(order))
    tiles = [
        _tile(image, sample, colors[order.index(identity)])
        for image, identity, sample in zip(images, identities, data_samples, strict=True)
    ]
    columns = min(columns_for(identities), len(tiles))
    empty = np.full_like(tiles[0], PAPER)
    tiles += [empty] * (-len(tiles) % columns)
    grid = np.concatenate([np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)])
    head = np.full((2 * LINE, grid.shape[1], 3), PAPER, np.uint8)
    write_caption(head, title, (GAP, LINE + GAP), LETTERS)
    return np.concatenate([head, grid])


def captions(sample: ReIDDataSample) -> list[str]:
    """Returns three lines about an image.

    The first has pid and camera, by the user's names for own data; the second modality and domain; the third the
    training class, or query or gallery.
    """
    label = sample.get('gt_label')
    last = sample.get('split', '') if label is None else f'class {int(label)}'
    named = {name: sample.get(f'{name}_name') or sample.get(name) for name in ('pid', 'camid', 'domain')}
    known = [f'{name} {value}' for name, value in named.items() if value is not None]
    pid_cam, domain = ' '.join(known[:2]).replace('camid', 'cam'), ''.join(known[2:])
    return [pid_cam, f'{sample.get("modality") or ""} {domain}'.strip(), str(last)]


def identity_colors(count: int) -> list[tuple[int, int, int]]:
    """Returns bright colors (B G R) that differ, most of all those next to each other."""
    step = 0.618034  # the golden section covers the hues evenly for any count
    shades = [(0.9, 0.9), (0.9, 0.55), (0.45, 0.9)]  # saturation and value, which change once per turn through the hues
    colors = []
    for number in range(count):
        saturation, value = shades[number // 12 % 3]
        red, green, blue = colorsys.hsv_to_rgb(number * step % 1, saturation, value)
        colors.append((round(blue * 255), round(green * 255), round(red * 255)))
    return colors


def columns_for(identities: Sequence[int]) -> int:
    """Returns the number of columns: about 8, and whole runs if all runs of an identity have the same length."""
    borders = [i for i in range(1, len(identities)) if identities[i] != identities[i - 1]]
    lengths = set(np.diff([0, *borders, len(identities)]).tolist())
    run = lengths.pop() if len(lengths) == 1 else 1
    return run * max(1, COLUMNS // run) if run <= 2 * COLUMNS else COLUMNS


def _identity(sample: ReIDDataSample) -> tuple:
    """Returns a key for the identity; identities of different data sets may share a number."""
    return sample.get('domain'), sample.get('pid')


def _tile(image: np.ndarray, sample: ReIDDataSample, color: tuple[int, int, int]) -> np.ndarray:
    lines = captions(sample)
    paper = INFRARED_PAPER if sample.get('modality') == 'infrared' else PAPER
    times = -(-LEAST_WIDTH // image.shape[1])
    image = image.repeat(times, axis=0).repeat(times, axis=1)
    framed = cv2.copyMakeBorder(image, *[FRAME] * 4, cv2.BORDER_CONSTANT, value=color)
    below = GAP + LINE * len(lines)
    tile = cv2.copyMakeBorder(framed, GAP, below, GAP, GAP, cv2.BORDER_CONSTANT, value=paper)
    for number, text in enumerate(lines):
        write_caption(tile, text, (GAP, GAP + framed.shape[0] + LINE * (number + 1)), LETTERS)
    return tile
