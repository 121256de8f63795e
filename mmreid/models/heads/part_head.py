# Copyright (c) mmreid contributors. All rights reserved.
"""The head of part-based models: every part learns to tell the identities apart on its own."""

import torch
from mmengine.model import ModuleList

from mmreid.models.necks import NeckFeatures
from mmreid.registry import MODELS

from .base_head import BaseHead
from .reid_head import ReIDHead


@MODELS.register_module()
class PartHead(BaseHead):
    """A :class:`ReIDHead` for each part of a :class:`PartNeck` (PCB: Sun et al., ECCV 2018, section 3.1).

    Args:
        in_channels (int): Size of a part's embedding, ``out_channels`` of the neck. Defaults to 256.
        num_parts (int): Number of parts, as in the neck. Defaults to 6.
        num_classes (int, optional): Number of training identities; the runner fills it in. Defaults to None.
        init_cfg (dict, optional): Defaults to None.
        **kwargs: Arguments of every part's :class:`ReIDHead`.
    """

    def __init__(
        self,
        in_channels: int = 256,
        num_parts: int = 6,
        num_classes: int | None = None,
        init_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, init_cfg)
        self.in_channels = in_channels
        self.num_parts = num_parts
        self.parts = ModuleList(ReIDHead(in_channels, num_classes, **kwargs) for _ in range(num_parts))
        self.only_before = self.parts[0].only_before

    def loss(self, feats: NeckFeatures, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Sums the losses of the parts, as in PCB, and averages their statistics.

        Embeddings have shape (N, num_parts * in_channels), part by part.
        """
        width = self.num_parts * self.in_channels
        if feats.before.shape[1] != width:
            raise ValueError(
                f'the neck gives embeddings of size {feats.before.shape[1]}, but the head has num_parts='
                f'{self.num_parts} x in_channels={self.in_channels} = {width}; set both of model.head to num_parts and '
                'out_channels of model.neck'
            )
        parts = zip(feats.before.chunk(self.num_parts, 1), feats.after.chunk(self.num_parts, 1), strict=True)
        results = [head.loss(NeckFeatures(*part), labels) for head, part in zip(self.parts, parts, strict=True)]
        return {key: _joined(key, [result[key] for result in results]) for key in results[0]}


def _joined(key: str, values: list[torch.Tensor]) -> torch.Tensor:
    total = torch.stack(values)
    return total.sum() if 'loss' in key else total.mean()
