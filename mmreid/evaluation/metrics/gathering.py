# Copyright (c) mmreid contributors. All rights reserved.
"""Gathers features and labels of a test set from all process ranks."""

from itertools import takewhile

import torch
from mmengine.dist import all_gather, all_gather_object

RECORD_KEYS = ('sample_idx', 'pid', 'camid', 'split', 'img_path')
OPTIONAL_KEYS = ('modality', 'timestamp', 'image_index', 'pid_name', 'camid_name')
DEVICE_BYTES = 2**29  # of features that wait on a device until they are moved


def move_to_host(batches: list[dict], waiting: int = 0) -> None:
    """Moves the features of batches to the CPU, in one transfer, if more than ``waiting`` bytes are on a device."""
    there = list(takewhile(lambda batch: batch['feature'].device.type != 'cpu', reversed(batches)))
    if sum(batch['feature'].nbytes for batch in there) > waiting:
        counts = [len(batch['feature']) for batch in there]
        together = torch.cat([batch['feature'] for batch in there]).cpu()
        for batch, features in zip(there, together.split(counts), strict=True):
            batch['feature'] = features


def gather_images(batches: list[dict]) -> tuple[dict[str, list], torch.Tensor]:
    """Joins the batches of all ranks on every rank, each image once, in the order of the data set.

    Features travel as tensors, batch by batch, and are written directly into the result.

    Args:
        batches (list[dict]): Batches of this rank: lists of ``RECORD_KEYS`` and ``OPTIONAL_KEYS``, and the tensor
            ``feature``, which is removed from the dict.

    Returns:
        tuple[dict[str, list], torch.Tensor]: Records of all images, queries first, then the gallery; their features.

    Raises:
        RuntimeError: If no rank has a feature.
    """
    move_to_host(batches)
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
        if len(parts) > 1:  # every rank must send the same number of rows
            mine = torch.cat([mine, mine.new_zeros(max(map(len, indices)) - len(mine), *shape)])
        for of_rank, values in zip(indices, all_gather(mine), strict=True):
            table[[place[index] for index in of_rank]] = values[: len(of_rank)]
        if number < len(features):
            features[number] = table[:0]  # frees its memory
    return columns, table
