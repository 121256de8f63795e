# Copyright (c) mmreid contributors. All rights reserved.
"""Query-adaptive convolution: scores two feature maps by the best matches of their locations."""

import torch
from torch import Tensor, nn

from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS

from .base import Matcher
from .location_maxima import location_maxima

BLOCK_BYTES = 2**26  # of maxima in memory at once, where the backward does not need them


@MODELS.register_module()
class QAConvMatcher(Matcher):
    """Scores pairs of feature maps by query-adaptive convolution (QAConv: Liao and Shao, ECCV 2020).

    The locations of one map are convolution kernels for the other. The best match of each location, in both
    directions, goes through a batch norm over one channel and a linear layer; the sum of both directions goes through
    a second batch norm. A score is a logit of any size and sign; ``sigmoid(score / 10)`` turns it into a probability.
    Scores are at least float32; only the products of locations run in the dtype of autocast or of half-precision maps,
    and only on a GPU.

    Args:
        size (tuple[int, int]): Height and width of the maps: the input's divided by the stride of the backbone.
            Defaults to (24, 8), for inputs of 384 x 128 and a stride of 16.
        symmetric (bool): Share the weights of both directions, so that ``score(a, b) == score(b, a)``; otherwise each
            direction has its own, as in version 1 of the official code. Defaults to True.
        init_cfg (dict, optional): Defaults to None.
    """

    distance = 'logistic'
    probability = 'logistic'
    prepares_copy = True
    max_rows = 64  # few queries are work enough for one block

    def __init__(self, size: tuple[int, int] = (24, 8), symmetric: bool = True, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.size = tuple(size)
        self.symmetric = symmetric
        self.bn = nn.BatchNorm1d(1)
        num_inputs = self.size[0] * self.size[1] * (1 if symmetric else 2)
        self.fc = nn.Linear(num_inputs, 1)
        if symmetric:
            nn.init.constant_(self.fc.weight, 1 / num_inputs)
        self.logit_bn = nn.BatchNorm1d(1)

    def prepare(self, feats: Tensor) -> Tensor:
        """Turns L2-normalized maps (N, C, H, W) into (N, C, H * W), with the channels last in memory."""
        if feats.ndim != 4:
            raise ValueError(
                f'QAConvMatcher compares maps (N, C, H, W), but got features of shape {tuple(feats.shape)}; use '
                'model.type=PairwiseReID with a backbone that gives maps'
            )
        if tuple(feats.shape[2:]) != self.size:
            raise ValueError(
                f'the maps are {feats.shape[2]}x{feats.shape[3]}, but the matcher was made for '
                f'{self.size[0]}x{self.size[1]}; set model.matcher.size={tuple(feats.shape[2:])}, or resize the images '
                'otherwise'
            )
        return feats.to(_product_dtype(feats)).flatten(2).transpose(1, 2).contiguous().transpose(1, 2)

    def score(self, query: Tensor, gallery: Tensor, out: Tensor | None = None) -> Tensor:
        """Scores prepared maps (Q, C, H * W) and (G, C, H * W)."""
        with full_precision(query):
            # Batch statistics and the gradient need all maxima at once.
            if self.training or (torch.is_grad_enabled() and out is None):
                scores = self.logits(*location_maxima(query, gallery))
                return scores if out is None else out.copy_(scores)
            return self._score_blocks(query, gallery, out)

    @torch.no_grad()
    def _score_blocks(self, query: Tensor, gallery: Tensor, out: Tensor | None) -> Tensor:
        """Scores block by block, to bound the memory of the maxima."""
        if out is None:
            dtype = torch.promote_types(query.dtype, torch.float32)
            out = torch.empty(len(query), len(gallery), dtype=dtype, device=query.device)
        pairs = max(1, BLOCK_BYTES // (8 * query.shape[2]))
        width = max(1, min(len(gallery), pairs))
        height = max(1, pairs // width)
        for q in range(0, len(query), height):
            for g in range(0, len(gallery), width):
                block = location_maxima(query[q : q + height], gallery[g : g + width])
                out[q : q + height, g : g + width] = self.logits(*block)
        return out

    def logits(self, of_query: Tensor, of_gallery: Tensor) -> Tensor:
        """Turns the best matches of both directions, (Q, G, hw) each, into scores (Q, G)."""
        pairs = of_query.shape[:2]
        maxima = torch.cat((of_query, of_gallery), dim=2).flatten(0, 1)
        maxima = self.bn(maxima[:, None]).view(-1, self.fc.in_features)
        directions = 2 if self.symmetric else 1  # rows of a pair
        logits = self.fc(maxima).view(-1, directions).sum(1, keepdim=True)
        return self.logit_bn(logits).view(pairs)


def _product_dtype(maps: Tensor) -> torch.dtype:
    """Returns the dtype of the products of locations; half precision saves time on a GPU only."""
    device = maps.device.type
    if device == 'cpu':
        return torch.promote_types(maps.dtype, torch.float32)
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return maps.dtype
