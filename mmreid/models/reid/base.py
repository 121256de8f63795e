# Copyright (c) mmreid contributors. All rights reserved.
"""What every re-ID model offers to loops, hooks and metrics."""

from abc import abstractmethod

import torch
from mmengine.model import BaseModel

from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample
from mmreid.utils.weight_sources import use_safe_loaders


class BaseReID(BaseModel):
    """Base of all re-ID models.

    Others use two things only: :meth:`extract_feat` and ``matcher``, which scores query against gallery features.

    Args:
        matcher (dict, optional): Config of the matcher. Defaults to ``dict(type='CosineMatcher')``.
        data_preprocessor (dict, optional): Defaults to ``dict(type='ReIDDataPreprocessor')``.
        flip_test (bool): In testing, add the feature of the mirrored image to that of the image. Defaults to False.
        init_cfg (dict, optional): Defaults to None.
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

    @abstractmethod
    def extract_feat(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample] | None = None) -> torch.Tensor:
        """Extracts what the matcher compares.

        Args:
            inputs (torch.Tensor): Preprocessed images, shape (N, 3, H, W).
            data_samples (list[ReIDDataSample], optional): Their labels, for models that need e.g. the modality.

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
            dict[str, torch.Tensor]: Scalars; the keys that contain ``loss`` are summed, the others logged.
        """

    def predict(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample]) -> list[ReIDDataSample]:
        """Puts each image's feature on its sample.

        Args:
            inputs (torch.Tensor): Preprocessed images, shape (N, 3, H, W).
            data_samples (list[ReIDDataSample]): Their labels.

        Returns:
            list[ReIDDataSample]: The samples with ``feature``.
        """
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
        """Runs the model as MMEngine asks for it.

        Args:
            inputs (torch.Tensor): Preprocessed images, shape (N, 3, H, W).
            data_samples (list[ReIDDataSample], optional): Their labels; needed unless ``mode='tensor'``.
            mode (str): ``'tensor'`` for features, ``'predict'`` for samples with features, ``'loss'`` for losses.

        Returns:
            torch.Tensor | list[ReIDDataSample] | dict[str, torch.Tensor]: As the mode says.
        """
        if mode == 'tensor':
            return self.extract_feat(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        raise ValueError(f"mode='{mode}' is unknown; use 'tensor', 'predict' or 'loss'")
