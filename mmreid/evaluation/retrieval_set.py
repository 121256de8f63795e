# Copyright (c) mmreid contributors. All rights reserved.
"""The query or the gallery of a test set: features and labels of its images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

_DTYPES = dict(pid=torch.int64, camid=torch.int64, timestamp=torch.float64, image_index=torch.int64)


@dataclass
class RetrievalSet:
    """Query or gallery, one entry per image in every field.

    Attributes:
        pid (torch.Tensor | None): Identities, shape (N,), int64. None where a step must not see them.
        camid (torch.Tensor): Cameras, counted from 0, shape (N,), int64.
        feature (torch.Tensor | None): Shape (N, D), or (N, ...) as the matcher takes it.
        timestamp (torch.Tensor | None): Times in seconds, shape (N,), float64; None unless every image has one.
        image_index (torch.Tensor | None): Position in the folder of identity and camera, shape (N,), int64.
        sample_idx (list[int] | None): Positions in the data set.
        img_path (list[str] | None): Image files.
        modality (list[str | None] | None): ``'visible'`` or ``'infrared'``.
        pid_name (list[str | None] | None): What the user's own list calls the identities.
        camid_name (list[str | None] | None): What it calls the cameras.

    Raises:
        ValueError: If a field has another number of entries than ``camid``.
    """

    pid: torch.Tensor | None
    camid: torch.Tensor
    feature: torch.Tensor | None = None
    timestamp: torch.Tensor | None = None
    image_index: torch.Tensor | None = None
    sample_idx: list[int] | None = None
    img_path: list[str] | None = None
    modality: list[str | None] | None = None
    pid_name: list[str | None] | None = None
    camid_name: list[str | None] | None = None

    def __post_init__(self) -> None:
        for name, values in self.known().items():
            if len(values) != len(self):
                raise ValueError(f'{name} has {len(values)} entries for {len(self)} images; give one for each image')

    def __len__(self) -> int:
        return len(self.camid)

    def known(self) -> dict[str, torch.Tensor | list]:
        """Returns the fields that are not None by name, as a plain dict."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}

    def take(self, images: torch.Tensor) -> 'RetrievalSet':
        """Returns some of the images.

        Args:
            images (torch.Tensor): Their indices, in the order wanted, shape (M,), int64.

        Returns:
            RetrievalSet: M images.
        """
        rows = images.tolist()
        taken: dict[str, Any] = dict(pid=None)
        for name, values in self.known().items():
            taken[name] = values[images] if isinstance(values, torch.Tensor) else [values[row] for row in rows]
        return RetrievalSet(**taken)


def split_by_role(
    columns: Mapping[str, Sequence], feature: torch.Tensor | None = None
) -> tuple[RetrievalSet, RetrievalSet]:
    """Divides the images of a test set into query and gallery.

    Args:
        columns (Mapping[str, Sequence]): ``split`` and fields of :class:`RetrievalSet` of all images: the queries
            first, then the gallery, then the images without a role.
        feature (torch.Tensor, optional): Their features, in this order. Defaults to None.

    Returns:
        tuple[RetrievalSet, RetrievalSet]: Query and gallery.
    """
    split = list(columns['split'])
    num_query, num_gallery = split.count('query'), split.count('gallery')
    parts = []
    for part in (slice(0, num_query), slice(num_query, num_query + num_gallery)):
        values: dict[str, Any] = {key: list(column[part]) for key, column in columns.items() if key != 'split'}
        for key in set(_DTYPES) & set(values):
            values[key] = None if None in values[key] else torch.tensor(values[key], dtype=_DTYPES[key])
        parts.append(RetrievalSet(**values, feature=None if feature is None else feature[part]))
    return parts[0], parts[1]
