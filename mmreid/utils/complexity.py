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

#: Parts that a trained model is not used with.
TRAINING_ONLY = ('head', 'discriminator')


@dataclass
class Complexity:
    """What a model costs. FLOPs are multiply-adds, as MMEngine and most papers count them.

    Attributes:
        params (dict[str, int]): Parameters of each part of the model.
        flops (dict[str, int]): FLOPs of one image in each part that features are made with.
        pair_flops (int | None): FLOPs of comparing one query image with one gallery image; None without a matcher.
        feature (tuple[int, ...]): Shape of what the model makes of an image.
        uncounted (dict[str, int]): Operations that no rule counts, and how often they run.
    """

    params: dict[str, int]
    flops: dict[str, int]
    pair_flops: int | None = None
    feature: tuple[int, ...] = ()
    uncounted: dict[str, int] = field(default_factory=dict)

    @property
    def used_params(self) -> int:
        """int: Parameters without those of training alone."""
        return sum(count for part, count in self.params.items() if part not in TRAINING_ONLY)


@torch.no_grad()
def count_complexity(model: nn.Module, size: tuple[int, int]) -> Complexity:
    """Counts for one image.

    Args:
        model (nn.Module): A re-ID model; or ``CamStyleGAN``, of which rendering in one style is counted. Its weights do
            not matter. It stays as it was.
        size (tuple[int, int]): Height and width of the image.

    Returns:
        Complexity: The counts.

    Raises:
        ValueError: If the model does not make features, or is searched.
    """
    if getattr(model, 'mutator', None) is not None:
        raise ValueError(
            'the norms of this model are searched, which cannot be counted; set model.mutator=None for the network '
            'that a search gives'
        )
    was_training = model.training
    model.eval()
    inputs = torch.zeros(1, 3, *size, device=next(model.parameters(), torch.empty(0)).device)
    modality = getattr(model, 'modality', None)
    try:
        if modality is not None:
            modality.set_only('visible')  # an infrared image costs the same
        if hasattr(model, 'extract_feat'):
            return _count_reid(model, inputs)
        if hasattr(model, 'style'):
            cameras = torch.zeros(1, dtype=torch.long, device=inputs.device)
            flops, uncounted = _analyze(model.generator, (inputs, cameras))
            feature = tuple(model.style(inputs, cameras).shape[1:])
            return Complexity(_params(model), dict(generator=flops['']), None, feature, uncounted)
        raise ValueError(
            f'{type(model).__name__} makes neither features nor images, so nothing can be counted; give a config of '
            'a re-ID model'
        )
    finally:
        if modality is not None:
            modality.clear()
        model.train(was_training)


def _count_reid(model: nn.Module, inputs: torch.Tensor) -> Complexity:
    feature = model.extract_feat(inputs)
    model.matcher(feature, feature)  # where it refuses them, it does so here with plain numbers in the message
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
    """A model that is called for features."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.model.extract_feat(inputs)


def _params(model: nn.Module) -> dict[str, int]:
    counts = {name: sum(value.numel() for value in part.parameters()) for name, part in model.named_children()}
    return {name: count for name, count in counts.items() if count}


def _analyze(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[dict[str, int], dict[str, int]]:
    """Counts by module, and what was not counted."""
    analyzer = FlopAnalyzer(module, inputs)
    analyzer.set_op_handle('aten::mm', _matmul)
    analyzer.set_op_handle('aten::scaled_dot_product_attention', _attention)
    analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings('none')
    return dict(analyzer.by_module()), dict(analyzer.unsupported_ops())


def _matmul(inputs: Sequence[Any], outputs: Sequence[Any]) -> Counter:
    """Counts a product of matrices; MMEngine's own rule does not know ``out=``."""
    (rows, inner), (_, columns) = get_shape(inputs[0]), get_shape(inputs[1])
    return Counter({'matmul': rows * inner * columns})


def _attention(inputs: Sequence[Any], outputs: Sequence[Any]) -> Counter:
    """Counts both products of attention, which MMEngine has no rule for."""
    *batch, length, width = get_shape(inputs[0])
    keys, out_width = get_shape(inputs[1])[-2], get_shape(inputs[2])[-1]
    pairs = length * keys
    for count in batch:
        pairs *= count
    return Counter({'attention': pairs * (width + out_width)})
