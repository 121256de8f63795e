# Copyright (c) mmreid contributors. All rights reserved.
"""Counts the parameters of a model and the operations of an image, part by part."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.analysis import FlopAnalyzer
from mmengine.analysis.jit_handles import get_shape
from torch import nn

from mmreid.models.generators import CamStyleGAN
from mmreid.models.reid import BaseReID

#: Parts that only training uses.
TRAINING_ONLY = ('head', 'discriminator')


@dataclass
class Complexity:
    """The cost of a model. FLOPs are multiply-adds, as MMEngine and most papers count them.

    Attributes:
        params (dict[str, int]): Parameters of each part of the model.
        flops (dict[str, int]): FLOPs of one image in each part that computes features.
        pair_flops (int | None): FLOPs of comparing one query image with one gallery image; None without a matcher.
        feature (tuple[int, ...]): Shape of the model's output for an image.
        uncounted (dict[str, int]): Operations that no rule counts, and how often they run.
    """

    params: dict[str, int]
    flops: dict[str, int]
    pair_flops: int | None = None
    feature: tuple[int, ...] = ()
    uncounted: dict[str, int] = field(default_factory=dict)

    @property
    def used_params(self) -> int:
        """int: Parameters, without those that only training uses."""
        return sum(count for part, count in self.params.items() if part not in TRAINING_ONLY)


@torch.no_grad()
def count_complexity(model: nn.Module, size: tuple[int, int]) -> Complexity:
    """Counts for one image.

    Args:
        model (nn.Module): A re-ID model; or ``CamStyleGAN``, for which rendering in one style is counted. Its weights
            do not matter. It stays as it was.
        size (tuple[int, int]): Height and width of the image.

    Returns:
        Complexity: The counts.

    Raises:
        ValueError: If the model makes neither features nor images, or is being searched.
    """
    if not isinstance(model, (BaseReID, CamStyleGAN)):
        raise ValueError(
            f'{type(model).__name__} makes neither features nor images, so nothing can be counted; give a config of '
            'a re-ID model'
        )
    was_training = model.training
    model.eval()
    inputs = torch.zeros(1, 3, *size, device=next(model.parameters(), torch.empty(0)).device)
    try:
        return _count_reid(model, inputs) if isinstance(model, BaseReID) else _count_rendering(model, inputs)
    finally:
        model.train(was_training)


def _count_rendering(model: CamStyleGAN, inputs: torch.Tensor) -> Complexity:
    cameras = torch.zeros(1, dtype=torch.long, device=inputs.device)
    flops, uncounted = _analyze(model.generator, (inputs, cameras))
    feature = tuple(model.style(inputs, cameras).shape[1:])
    return Complexity(_params(model), dict(generator=flops['']), None, feature, uncounted)


def _count_reid(model: BaseReID, inputs: torch.Tensor) -> Complexity:
    if model.mutator is not None:
        raise ValueError(
            'the norms of this model are being searched, which cannot be counted; set model.mutator=None for the '
            'network that a search finds'
        )
    if model.branches is None:
        return _count_features(model, inputs)
    model.branches.set_only(model.branches.names[0])  # an image costs the same in every branch
    try:
        return _count_features(model, inputs)
    finally:
        model.branches.clear()


def _count_features(model: BaseReID, inputs: torch.Tensor) -> Complexity:
    feature = model.extract_feat(inputs)
    model.matcher(feature, feature)  # a matcher that refuses them does so here, with plain numbers in its message
    by_module, uncounted = _analyze(_Features(model), (inputs,))
    parts = [name for name, _ in model.named_children() if name not in ('data_preprocessor', 'matcher', *TRAINING_ONLY)]
    flops = {part: by_module.get(f'model.{part}', 0) for part in parts}
    other = by_module[''] - sum(flops.values())
    if other:
        flops['other'] = other
    of_pair, uncounted_of_pair = _analyze(model.matcher, (feature, feature.clone()))
    counts = dict(Counter(uncounted) + Counter(uncounted_of_pair))
    return Complexity(_params(model), flops, of_pair[''], tuple(feature.shape[1:]), counts)


class _Features(nn.Module):
    """Calls a model for features."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.model.extract_feat(inputs)


def _params(model: nn.Module) -> dict[str, int]:
    counts = {name: sum(value.numel() for value in part.parameters()) for name, part in model.named_children()}
    return {name: count for name, count in counts.items() if count}


def _analyze(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[dict[str, int], dict[str, int]]:
    """Returns the FLOPs of each module, and the operations that were not counted."""
    analyzer = FlopAnalyzer(module, inputs)
    analyzer.set_op_handle('aten::mm', _matmul)
    analyzer.set_op_handle('aten::scaled_dot_product_attention', _attention)
    analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings('none')
    return dict(analyzer.by_module()), dict(analyzer.unsupported_ops())


def _matmul(inputs: Sequence[Any], outputs: Sequence[Any]) -> Counter:
    """Counts a matrix product; MMEngine's own rule does not know ``out=``."""
    (rows, inner), (_, columns) = get_shape(inputs[0]), get_shape(inputs[1])
    return Counter({'matmul': rows * inner * columns})


def _attention(inputs: Sequence[Any], outputs: Sequence[Any]) -> Counter:
    """Counts both products of attention, for which MMEngine has no rule."""
    *batch, length, width = get_shape(inputs[0])
    keys, out_width = get_shape(inputs[1])[-2], get_shape(inputs[2])[-1]
    pairs = length * keys
    for count in batch:
        pairs *= count
    return Counter({'attention': pairs * (width + out_width)})
