# Copyright (c) mmreid contributors. All rights reserved.
"""Checks of the labels of a test set, before any feature is extracted."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mmreid.evaluation.functional import Protocol, scorable_queries
from mmreid.evaluation.postprocessing import PostProcess
from mmreid.evaluation.retrieval_set import RetrievalSet, split_by_role


def read_labels(dataset: Any, name: str) -> tuple[RetrievalSet, RetrievalSet]:
    """Returns query and gallery of a BaseReIDDataset, without features; raises ValueError for other data sets."""
    if len(dataset) != len(getattr(dataset, 'pids', ())):  # data sets of other projects have no pids
        raise ValueError(
            f"test set '{name}' is a {type(dataset).__name__} of {len(dataset)} images of unknown ids; "
            'give a BaseReIDDataset, without num_batch_per_epoch'
        )
    columns = dict(pid=dataset.pids, camid=dataset.camids, split=dataset.splits, modality=dataset.modalities)
    columns = {key: values.tolist() for key, values in columns.items()}
    order = [i for role in ('query', 'gallery') for i, split in enumerate(columns['split']) if split == role]
    columns = {key: [values[i] for i in order] for key, values in columns.items()}
    return split_by_role(dict(columns, sample_idx=order))


def check_fields(dataset: Any, images: Sequence[int], steps: Sequence[PostProcess], name: str) -> None:
    """Raises ValueError if the record of an image lacks a field that a step of ``post`` needs."""
    for step in steps:
        for key in step.needs:
            lacking = [i for i in images if dataset.get_data_info(i).get(key) is None]
            if lacking:
                path = dataset.get_data_info(lacking[0])['img_path']
                raise ValueError(
                    f'{step.name} needs the {key} of every image, but {len(lacking)} of {len(images)} in test set '
                    f"'{name}' have none, the first of them {path}; use data with {key}s (your own list: a column "
                    f'{key}), or take {step.name} out of post'
                )


def require_images(query: RetrievalSet, gallery: RetrievalSet, name: str) -> None:
    """Raises ValueError unless there are queries and gallery images."""
    if not len(query) or not len(gallery):
        raise ValueError(
            f"test set '{name}' has {len(query)} query images, {len(gallery)} gallery images; it needs both, so use "
            "split='test'"
        )


def require_people(query: RetrievalSet, gallery: RetrievalSet, name: str) -> None:
    """Raises ValueError if all images have one identity: every order is then right, and every metric 100."""
    pids = torch.cat([query.pid, gallery.pid]).unique()
    if len(pids) == 1:
        names = [given for side in (query, gallery) for given in side.pid_name or () if given is not None]
        raise ValueError(
            f"all {len(query) + len(gallery)} images of test set '{name}' have the identity "
            f'{names[0] if names else int(pids)}, so any model would get mAP 100; give each person an id, or search '
            'without labels by tools/search.py'
        )


def check_scorable(
    name: str,
    query: RetrievalSet,
    gallery: RetrievalSet,
    protocol: Protocol,
    where_hidden: Callable[[int], str],
    path_of: Callable[[int], str],
) -> str:
    """Checks that some query has a match left in the gallery.

    Args:
        name (str): Name of the row, for messages.
        query (RetrievalSet): The queries.
        gallery (RetrievalSet): Their gallery.
        protocol (Protocol): The rules.
        where_hidden (Callable[[int], str]): Says, given the number of cameras, which matches do not count.
        path_of (Callable[[int], str]): Returns the file of a ``sample_idx``.

    Returns:
        str: How many queries cannot be scored, why, and the first of them; empty if all can.

    Raises:
        ValueError: If no query can be scored.
    """
    valid = scorable_queries(query.pid, query.camid, gallery.pid, gallery.camid, protocol)
    if valid.all():
        return ''
    lost = _explain_lost(query, gallery, valid, where_hidden)
    if not valid.any():
        raise ValueError(f"no query of '{name}' can be scored: {lost}")
    first = [query.sample_idx[i] for i in (~valid).nonzero().flatten()[:5].tolist()]
    return f'{lost}; the first of them: {", ".join(map(path_of, first))}'


def _explain_lost(
    query: RetrievalSet, gallery: RetrievalSet, valid: torch.Tensor, where_hidden: Callable[[int], str]
) -> str:
    """Returns how many queries cannot be scored, and why."""
    absent = ~torch.isin(query.pid, gallery.pid)
    hidden = int((~valid & ~absent).sum())
    parts = [f'{int((~valid).sum())} of {len(valid)} queries have no match to find']
    if absent.any():
        hint = ': do both use the same ids?' if absent.all() else ''
        parts.append(f'{int(absent.sum())} have an identity that is absent from the gallery{hint}')
    if hidden:
        cameras = len(torch.cat([query.camid, gallery.camid]).unique())
        parts.append(f'{hidden} have all their matches {where_hidden(cameras)}')
    return '; '.join(parts)
