# Copyright (c) mmreid contributors. All rights reserved.
"""The images of a test set as a metric sees them: features and labels of query and gallery, gathered over ranks."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_gather, all_gather_object

RECORD_KEYS = ('sample_idx', 'pid', 'camid', 'split', 'img_path')
OPTIONAL_KEYS = ('modality', 'timestamp', 'image_index', 'pid_name', 'camid_name')
TENSOR_KEYS = ('pid', 'camid', 'timestamp', 'image_index')

Side = dict[str, Any]
"""Query or gallery: one entry per image. Tensors ``feature`` (N, ...), ``pid``, ``camid``, and ``timestamp`` and
``image_index`` where every image has one; lists ``sample_idx``, ``img_path``, ``modality``, and of own data
``pid_name`` and ``camid_name``, what the user calls identity and camera (None where not given)."""


def gather_images(batches: list[dict]) -> tuple[dict[str, list], torch.Tensor]:
    """Joins the batches of all ranks, once per image, in the order of the data set; on every rank.

    Features travel as tensors, batch by batch, straight to their place.

    Args:
        batches (list[dict]): This rank's: lists of ``RECORD_KEYS`` and ``OPTIONAL_KEYS``, and the tensor ``feature``,
            which is taken out.

    Returns:
        tuple[dict[str, list], torch.Tensor]: Records of all images, queries first, then the gallery; their features.

    Raises:
        RuntimeError: If no rank has a feature.
    """
    features = [batch.pop('feature') for batch in batches]
    like = (features[0].shape[1:], features[0].dtype) if features else None
    parts = all_gather_object((batches, like))
    shape, dtype = next((like for _, like in parts if like is not None), (None, None))
    if shape is None:
        raise RuntimeError('0 features arrived at the metric; check that test_dataloader.dataset is not empty')
    keys = (*RECORD_KEYS, *OPTIONAL_KEYS)
    columns = {key: [value for part, _ in parts for batch in part for value in batch[key]] for key in keys}
    # Loaders pad the last batch over ranks by repeating images.
    first = {index: image for image, index in reversed(list(enumerate(columns['sample_idx'])))}
    roles, split = dict(query=0, gallery=1), columns['split']
    order = sorted(first, key=lambda index: (roles.get(split[first[index]], 2), index))
    columns = {key: [values[first[index]] for index in order] for key, values in columns.items()}
    place = {index: row for row, index in enumerate(order)}
    table = torch.empty(len(order), *shape, dtype=dtype)
    for number in range(max(len(part) for part, _ in parts)):
        indices = [part[number]['sample_idx'] if number < len(part) else [] for part, _ in parts]
        mine = features[number] if number < len(features) else table[:0]
        if len(parts) > 1:  # all ranks must give as many rows
            mine = torch.cat([mine, mine.new_zeros(max(map(len, indices)) - len(mine), *shape)])
        for of_rank, values in zip(indices, all_gather(mine), strict=True):
            table[[place[index] for index in of_rank]] = values[: len(of_rank)]
        if number < len(features):
            features[number] = table[:0]  # lets its memory go
    return columns, table


def split_images(columns: Mapping[str, Sequence], feature: torch.Tensor | None = None) -> tuple[Side, Side]:
    """Divides images by their role.

    Args:
        columns (Mapping[str, Sequence]): ``split`` and other entries of all images: all queries first, then the
            gallery, then what has no role.
        feature (torch.Tensor, optional): Their features, in this order. Defaults to None.

    Returns:
        tuple[Side, Side]: Query and gallery.
    """
    split = list(columns['split'])
    num_query, num_gallery = split.count('query'), split.count('gallery')
    sides = []
    for part in (slice(0, num_query), slice(num_query, num_query + num_gallery)):
        side: Side = {key: list(values[part]) for key, values in columns.items() if key != 'split'}
        for key in set(TENSOR_KEYS) & set(side):
            if None in side[key]:
                del side[key]
            else:
                side[key] = torch.tensor(side[key], dtype=torch.float64 if key == 'timestamp' else torch.int64)
        if feature is not None:
            side['feature'] = feature[part]
        sides.append(side)
    return sides[0], sides[1]


def choose(side: Side, images: torch.Tensor) -> Side:
    """Takes some images of a side, in the order given.

    Args:
        side (Side): Query or gallery.
        images (torch.Tensor): Their indices, shape (M,), int64.

    Returns:
        Side: These images.
    """
    return {
        key: values[images] if isinstance(values, torch.Tensor) else [values[image] for image in images.tolist()]
        for key, values in side.items()
    }
