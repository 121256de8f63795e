# Copyright (c) mmreid contributors. All rights reserved.
"""The images of each identity in each of two modalities."""

import numpy as np

from mmreid.datasets.contract import ReIDData, require_fields
from mmreid.structures import MODALITIES

from .image_table import ImageTable


def modality_table(dataset: ReIDData, needed_by: str) -> ImageTable:
    """Indexes images by identity and modality.

    Args:
        dataset (ReIDData): The training set.
        needed_by (str): Name of the class that needs the modalities, for the error.

    Returns:
        ImageTable: Group ``2 * label`` holds the visible images of a label, group ``2 * label + 1`` the infrared ones.

    Raises:
        TypeError: If the data set does not know the modalities.
        ValueError: If an image is neither visible nor infrared.
    """
    require_fields(dataset, needed_by, 'gt_labels', 'modalities')
    labels = np.asarray(dataset.gt_labels)
    modalities = np.asarray(dataset.modalities)
    infrared = modalities == MODALITIES[1]
    wrong = ~infrared & (modalities != MODALITIES[0])
    if wrong.any():
        found = ', '.join(repr(str(value)) for value in np.unique(modalities[wrong]))
        raise ValueError(
            f'{needed_by} draws visible and infrared images, but {int(wrong.sum())} of {len(labels)} training images '
            f"have another modality or none ({found}); its data set must give 'visible' or 'infrared' for each image "
            '(use KInstanceSampler for one modality)'
        )
    return ImageTable(2 * labels + infrared, 2 * (int(labels.max()) + 1))


def one_sided(table: ImageTable, dataset: ReIDData) -> tuple[np.ndarray, str]:
    """Finds the identities with images of one modality only: their labels, and a sentence about them."""
    counts = table.counts.reshape(-1, 2)
    labels = np.flatnonzero((counts > 0).sum(axis=1) == 1)
    shown = []
    for label in labels[:5]:
        has = int(counts[label, 0] == 0)
        pid = dataset.pids[table.members[table.starts[2 * label + has]]]
        shown.append(f'{pid} ({MODALITIES[has]})')
    more = ', ...' if len(labels) > len(shown) else ''
    present = int((counts.sum(axis=1) > 0).sum())
    return (
        labels,
        f'{len(labels)} of {present} identities have images of one modality only: pid {", ".join(shown)}{more}',
    )
