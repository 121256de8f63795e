# Copyright (c) mmreid contributors. All rights reserved.
"""Reads images that are to be added: their hashes, and the features of those that are new."""

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from mmengine.logging import print_log

from mmreid.datasets import CorruptImageError
from mmreid.utils.file_hash import sha256_of

from ..inferencer import ReIDInferencer
from ..inputs import NamedImage

Value = TypeVar('Value')


def check_on_error(on_error: str) -> None:
    """Raises ValueError for what is neither ``'raise'`` nor ``'skip'``."""
    if on_error not in ('raise', 'skip'):
        raise ValueError(f"on_error={on_error!r} is unknown; use 'raise' or 'skip'")


def names_of(images: Sequence[NamedImage]) -> list[str]:
    """Returns the names of images; those of files from the root on, so that they are found from any folder."""
    return [os.path.abspath(image.name) if os.path.isfile(image.name) else image.name for image in images]


def digests_of(images: Sequence[NamedImage], on_error: str) -> list[str | None]:
    """Returns the SHA-256 of each image file, or of the pixels of an image without file; None for one to skip."""
    return [_or_none(_digest, image, on_error) for image in images]


def extract_features(
    inferencer: ReIDInferencer, images: Sequence[tuple[NamedImage, str | None]], on_error: str
) -> list[np.ndarray | None]:
    """Extracts the features of images, given with their modalities; None for one that cannot be read."""
    pixels = [_or_none(lambda image: image.read(), image, on_error) for image, _ in images]
    features: list[np.ndarray | None] = [None] * len(images)
    told = bool(inferencer.contract.modalities)  # other models take all images alike
    for modality in dict.fromkeys(modality if told else None for _, modality in images):
        rows = [
            row
            for row, (_, own) in enumerate(images)
            if pixels[row] is not None and (own if told else None) == modality
        ]
        if rows:
            found = inferencer.extract(
                [pixels[row] for row in rows],
                modality=modality,
                channel_order='bgr',
                normalize=False,
                progress=False,
            )
            for row, feature in zip(rows, found, strict=True):
                features[row] = feature
    return features


def _digest(image: NamedImage) -> str:
    if not os.path.isfile(image.name):
        pixels = np.ascontiguousarray(image.read())
        return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    try:
        return sha256_of(image.name)
    except OSError as error:
        raise CorruptImageError(f'image {image.name} cannot be read ({error.strerror}); restore it') from error


def _or_none(read: Callable[[NamedImage], Value], image: NamedImage, on_error: str) -> Value | None:
    """Reads something of an image; None with a warning if that fails and is to be skipped."""
    try:
        return read(image)
    except CorruptImageError as error:
        if on_error == 'raise':
            raise
        print_log(f'left out: {error}', 'current', logging.WARNING)
        return None
