# Copyright (c) mmreid contributors. All rights reserved.
"""k-reciprocal neighbors: images that are in each other's lists of neighbors."""

import torch
from torch import Tensor

CHUNK = 512


def reciprocal_sets(lists: Tensor, length: int, half: int) -> tuple[Tensor, Tensor]:
    """Finds the k-reciprocal neighbors of each image, expanded by those of similar neighbors.

    A neighbor adds its own reciprocal neighbors, from a shorter list, if more than two thirds of these are already in
    the set (Zhong et al., CVPR 2017, equation 5). On a GPU the host waits once.

    Args:
        lists (torch.Tensor): The nearest images of each of N images, itself included, nearest first; shape (N, K).
        length (int): Length of the lists.
        half (int): Length of the shorter lists.

    Returns:
        tuple[torch.Tensor, torch.Tensor]: The sizes of the sets, (N,); and the sets, concatenated, each in ascending
        order; on the device of the lists.
    """
    num, on_host = len(lists), _on_host(lists)
    # The index num, which no image has, marks what is not reciprocal.
    own, brought = (_mutual(lists[:, :width].int()) for width in (length, half))
    brought = torch.cat([brought, torch.full_like(brought[:1], num)])  # for the index num
    num_brought = (brought < num).sum(1)
    counts, found = [], []
    for block in _blocks(num):
        mine = own[block]
        new = brought[mine]
        shared = (new[..., None] == mine[:, None, None]).any(-1) & (new < num)
        enough = 3 * shared.sum(-1) > 2 * num_brought[mine]
        sets = torch.cat([mine, new.where(enough[..., None], num).flatten(1)], 1).sort(1).values
        keep = sets < num
        keep[:, 1:] &= sets[:, 1:] != sets[:, :-1]
        counts.append(keep.sum(1))
        found.append(sets[keep] if on_host else sets.masked_fill(~keep, num))
    members = torch.cat(found)
    return torch.cat(counts), members if on_host else members[members < num]


def _on_host(lists: Tensor) -> bool:
    return lists.device.type == 'cpu'


def _mutual(lists: Tensor) -> Tensor:
    """Returns the lists (N, K) with N in place of images that do not have the image in their own list."""
    num, kept = len(lists), []
    for block in _blocks(num):
        near, image = lists[block], torch.arange(block.start, block.stop, device=lists.device)
        kept.append(near.where((lists[near] == image[:, None, None]).any(-1), num))
    return torch.cat(kept)


def _blocks(num: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, num)) for start in range(0, num, CHUNK)]
