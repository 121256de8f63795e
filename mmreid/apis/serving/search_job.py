# Copyright (c) mmreid contributors. All rights reserved.
"""One search by an uploaded image: from bytes to plain data."""

from collections.abc import Sequence
from typing import Any

from mmreid.datasets.transforms.loading import decode_image

from ..gallery import Gallery, GalleryAnswer
from ..threshold import Threshold
from .search_options import SearchOptions


def search_by_image(
    gallery: Gallery, content: bytes, options: SearchOptions, threshold: Threshold | None, max_pixels: int
) -> dict[str, Any]:
    """Searches a gallery.

    Args:
        gallery (Gallery): The gallery, opened with its model.
        content (bytes): An image file.
        options (SearchOptions): What is asked for.
        threshold (Threshold | None): Decides who is the same.
        max_pixels (int): Most pixels of the image.

    Returns:
        dict[str, Any]: ``answers``, best first, and ``threshold``.

    Raises:
        CorruptImageError: If the image cannot be read.
        ValueError: If an option is not possible.
    """
    pixels = decode_image(content, 'that was sent', max_pixels)
    features = gallery.inferencer.extract(
        pixels,
        boxes=None if options.box is None else [options.box],
        modality=options.query_modality,
        channel_order='bgr',
        normalize=False,
    )
    answers = gallery.search(
        features,
        options.topk,
        options.filter,
        query_cameras=options.query_camera,
        per_id=options.per_id,
    )[0]
    return dict(
        threshold=None if threshold is None else threshold.value,
        width=pixels.shape[1],
        height=pixels.shape[0],
        answers=_plain(answers, threshold),
    )


def _plain(answers: Sequence[GalleryAnswer], threshold: Threshold | None) -> list[dict[str, Any]]:
    return [
        dict(
            key=answer.entry.key,
            id=answer.entry.id,
            camera=answer.entry.camera,
            time=answer.entry.time,
            modality=answer.entry.modality,
            extra=answer.entry.extra,
            score=answer.score,
            count=answer.count,
            same=None if threshold is None else threshold.decide(answer.score).same,
            image=f'/image/{answer.entry.key}',
        )
        for answer in answers
    ]
