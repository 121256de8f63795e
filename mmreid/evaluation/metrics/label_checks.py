# Copyright (c) mmreid contributors. All rights reserved.
"""Checks of the labels of a test set, before any feature is extracted."""

from collections.abc import Callable

import torch

from mmreid.evaluation.retrieval_set import RetrievalSet


def explain_lost(
    query: RetrievalSet, gallery: RetrievalSet, valid: torch.Tensor, where_hidden: Callable[[int], str]
) -> str:
    """Returns how many queries cannot be scored and why; ``where_hidden`` words, for a number of cameras, the rule."""
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
