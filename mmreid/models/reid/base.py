# Copyright (c) mmreid contributors. All rights reserved.
"""What every re-ID model offers to loops, hooks, metrics and tools."""

from abc import abstractmethod

import torch
from mmengine.model import BaseModel
from torch import nn

from mmreid.models.layers import BranchContext
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample
from mmreid.utils.weight_sources import use_safe_loaders


class BaseReID(BaseModel):
    """Base of all re-ID models.

    Testing needs :meth:`extract_feat` and ``matcher`` only, which scores query against gallery features. Loops, hooks
    and tools may ask every model for the attributes below.

    Args:
        matcher (dict, optional): Config of the matcher. Defaults to ``dict(type='CosineMatcher')``.
        data_preprocessor (dict, optional): Defaults to ``dict(type='ReIDDataPreprocessor')``.
        flip_test (bool): In testing, add the feature of the mirrored image to that of the image. Defaults to False.
        init_cfg (dict, optional): Defaults to None.

    Attributes:
        matcher (nn.Module): Maps query features (Q, ...) and gallery features (G, ...) to scores (Q, G).
        backbone (nn.Module | None): The network of feature maps; None for a model without one.
        head (nn.Module | None): What computes the losses; None for a model that cannot be trained.
        mutator (nn.Module | None): What searches the architecture; None unless it is searched.
        branches (BranchContext | None): The branches of its norms; None for a model whose norms have no branches.
        arch (dict[str, str]): State of each branch norm by layer name; empty without such norms and while it is
            searched.
        phase (str): Which losses the head computes: ``'weights'``, or ``'arch'`` in architecture steps.
    """

    def __init__(
        self,
        matcher: dict | None = None,
        data_preprocessor: dict | None = None,
        flip_test: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        use_safe_loaders()  # also where MMEngine's own Runner trains the model
        preprocessor = dict(data_preprocessor or {})
        preprocessor.setdefault('type', 'mmreid.ReIDDataPreprocessor')
        super().__init__(data_preprocessor=MODELS.build(preprocessor), init_cfg=init_cfg)
        self.flip_test = flip_test
        self.matcher = MODELS.build(matcher or dict(type='mmreid.CosineMatcher'))
        # Not class attributes: those would hide a module of the same name.
        self.backbone: nn.Module | None = None
        self.head: nn.Module | None = None
        self.mutator: nn.Module | None = None
        self.branches: BranchContext | None = None
        self.arch: dict[str, str] = {}
        self.phase = 'weights'

    @abstractmethod
    def extract_feat(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample] | None = None) -> torch.Tensor:
        """Extracts the features that the matcher compares.

        Args:
            inputs (torch.Tensor): Preprocessed images, shape (N, 3, H, W).
            data_samples (list[ReIDDataSample], optional): Their labels, for models that need the modality, say.

        Returns:
            torch.Tensor: Embeddings (N, D), or maps (N, C, H, W) for pairwise matchers.
        """

    @abstractmethod
    def loss(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample]) -> dict[str, torch.Tensor]:
        """Computes the losses of a batch.

        Args:
            inputs (torch.Tensor): Preprocessed images, shape (N, 3, H, W).
            data_samples (list[ReIDDataSample]): Their labels.

        Returns:
            dict[str, torch.Tensor]: Scalars; those whose keys contain ``loss`` are summed, the others only logged.
        """

    def predict(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample]) -> list[ReIDDataSample]:
        """Sets ``feature`` on each sample and returns the samples."""
        features = self.extract_feat(inputs, data_samples)
        if self.flip_test:
            features = features + self.extract_feat(inputs.flip(-1), data_samples)
        for sample, feature in zip(data_samples, features, strict=True):
            sample.set_feature(feature)
        return data_samples

    def forward(
        self,
        inputs: torch.Tensor,
        data_samples: list[ReIDDataSample] | None = None,
        mode: str = 'tensor',
    ) -> torch.Tensor | list[ReIDDataSample] | dict[str, torch.Tensor]:
        """Returns features (``'tensor'``), samples with features (``'predict'``) or losses (``'loss'``)."""
        if mode == 'tensor':
            return self.extract_feat(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        raise ValueError(f"mode='{mode}' is unknown; use 'tensor', 'predict' or 'loss'")
