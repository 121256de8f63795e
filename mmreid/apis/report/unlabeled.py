# Copyright (c) mmreid contributors. All rights reserved.
"""The part of a report on images without labels: the nearest images of some of them."""

from typing import Any

import torch
from torch.nn import functional as F

from mmreid.evaluation.functional.top_lists import top_lists

from .image_table import ImageTable
from .sources import Source, Unlabeled

BLOCK = 64  # queries at a time


@torch.no_grad()
def unlabeled_part(source: Source, test: Unlabeled, images: ImageTable, num_queries: int, topk: int) -> dict[str, Any]:
    """Lists the nearest images, by cosine similarity, of images that are spread evenly over the file.

    Args:
        source (Source): Where the images come from.
        test (Unlabeled): Names and features.
        images (ImageTable): Gets the images that are shown.
        num_queries (int): Most images with a list.
        topk (int): Images of each list.

    Returns:
        dict[str, Any]: Plain data of the part.
    """
    total = len(test.names)
    count = min(num_queries, total)
    chosen = torch.arange(count) * total // count
    feature = F.normalize(test.feature, dim=1)
    lists = []
    for block in chosen.split(BLOCK):
        scores = feature[block] @ feature.T
        scores[torch.arange(len(block)), block] = torch.nan  # not near itself
        top, values = top_lists(scores, min(topk, total))
        for index, row, score in zip(block.tolist(), top.tolist(), values.tolist(), strict=True):
            near = [
                [images.add(test.names[image]), '', '', round(value, 4), None]
                for image, value in zip(row, score, strict=True)
                if image >= 0
            ]
            lists.append(dict(query=[images.add(test.names[index]), '', ''], images=near))
    about = f'{total:,} image{"s" if total > 1 else ""} without labels from {source.origin}: no table and no curves'
    return dict(name=source.model, about=about, lists=lists, num_lists=total)
