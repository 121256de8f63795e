# Copyright (c) mmreid contributors. All rights reserved.
"""The networks that are exported: from the consumer's input to embeddings or maps, and from maps to scores."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from mmpretrain.models.utils import ShiftWindowMSA
from torch import Tensor, nn

from mmreid.models import BaseReID
from mmreid.models.matchers import EuclideanMatcher, QAConvMatcher
from mmreid.structures import InferenceContract, Preprocessing

from .targets import Target


class EmbeddingGraph(nn.Module):
    """Turns the consumer's input (N, 3, H, W) into embeddings (N, D) or maps (N, C, h, w), float32 on both ends.

    Args:
        model (BaseReID): The model, which is copied.
        contract (InferenceContract): How it is used.
        target (Target): The consumer.
        modality (str, optional): ``'visible'`` or ``'infrared'``, for a model of both. Defaults to None.
        fp16 (bool): Run the backbone in half precision; the neck needs float32. Defaults to False.

    Attributes:
        normalized (bool): Whether what comes out is L2-normalized; a map at each location.
    """

    def __init__(
        self,
        model: BaseReID,
        contract: InferenceContract,
        target: Target,
        modality: str | None = None,
        fp16: bool = False,
    ) -> None:
        super().__init__()
        _check_modality(modality, contract)
        self.is_map = contract.embedding == 'map'
        if self.is_map and not target.takes_maps:
            raise ValueError(
                f'{target.name} compares vectors, but {type(model).__name__} makes maps that only its own matcher can '
                'compare; use --target onnxruntime, openvino or exportedprogram'
            )
        self.model = copy.deepcopy(model).cpu().eval()
        if modality is not None:
            self.model.branches.set_only(modality)
        self.model.float()
        for module in self.model.modules():
            if isinstance(module, ShiftWindowMSA):
                module.window_reverse = _window_reverse
        if fp16:
            self.model.backbone = HalfPrecision(self.model.backbone)
        self.flip_test = contract.flip_test
        self.is_bgr = contract.preprocessing.channel_order == 'bgr'
        # Lengths mean something to the Euclidean distance only.
        self.normalizes = not self.is_map and not isinstance(model.matcher, EuclideanMatcher)
        self.normalized = self.normalizes or contract.normalized
        factor, offset = _affine(contract.preprocessing, target)
        self.is_prepared = bool((factor - 1).abs().max() < 1e-6 and offset.abs().max() < 1e-6)
        self.register_buffer('factor', factor.float())
        self.register_buffer('offset', offset.float())

    def forward(self, images: Tensor) -> Tensor:
        """Embeds images as the consumer prepares them."""
        if not self.is_prepared:
            images = images * self.factor + self.offset
        if self.is_bgr:
            images = images.flip(1)
        features = self.model.extract_feat(images)
        if self.flip_test:
            features = features + self.model.extract_feat(images.flip(-1))
        return F.normalize(features, dim=1) if self.normalizes else features


class HalfPrecision(nn.Module):
    """Runs a backbone in half precision; its input and its outputs are float32."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone.half()

    def forward(self, images: Tensor) -> Any:
        """Gives what the backbone gives."""
        return _to_float(self.backbone(images.half()))


class ScorerGraph(nn.Module):
    """Scores query maps (Q, C, h, w) against gallery maps (G, C, h, w): (Q, G).

    All Q * G * (h * w)^2 products of locations are in memory at once, so callers score in blocks.
    """

    def __init__(self, matcher: nn.Module) -> None:
        super().__init__()
        if not isinstance(matcher, QAConvMatcher):
            raise ValueError(f'{type(matcher).__name__} cannot be exported as a scorer of maps; use QAConvMatcher')
        self.matcher = copy.deepcopy(matcher).cpu().float().eval()

    def forward(self, query: Tensor, gallery: Tensor) -> Tensor:
        """Scores all pairs; higher is more similar."""
        products = torch.einsum('qcs,gct->qgst', query.flatten(2), gallery.flatten(2))
        return self.matcher.logits(products.amax(3), products.amax(2))


def _window_reverse(windows: Tensor, height: int, width: int, size: int) -> Tensor:
    """Joins windows (N * windows, size, size, C) to maps (N, H, W, C); MMPretrain's fixes N to that of the export."""
    maps = windows.view(-1, height // size, width // size, size, size, windows.shape[-1])
    return maps.transpose(2, 3).reshape(-1, height, width, windows.shape[-1])


def _to_float(outputs: Any) -> Any:
    if isinstance(outputs, (tuple, list)):
        return type(outputs)(_to_float(output) for output in outputs)
    return outputs.float()


def _check_modality(modality: str | None, contract: InferenceContract) -> None:
    known = contract.modalities
    if known and modality not in known:
        raise ValueError(
            f'modality={modality!r}, but this model has one network for each; export one with --modality '
            f'{" and one with --modality ".join(known)}'
        )
    if modality is not None and not known:
        raise ValueError(f'modality={modality!r}, but this model does not tell modalities apart; leave it out')


def _affine(steps: Preprocessing, target: Target) -> tuple[Tensor, Tensor]:
    """Returns the factor and the offset (1, 3, 1, 1), of R, G, B, that turn the consumer's input into the model's."""
    order = slice(None) if steps.channel_order == 'rgb' else slice(None, None, -1)
    mean, std, given_mean, given_std = (
        torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1)
        for values in (steps.mean[order], steps.std[order], target.mean, target.std)
    )
    return target.scale * given_std / std, (target.scale * given_mean - mean) / std
