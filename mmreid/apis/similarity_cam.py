# Copyright (c) mmreid contributors. All rights reserved.
"""Where a model looks: class activation maps of a feature, or of the score of two images."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from mmreid.datasets.transforms.loading import read_image
from mmreid.structures import ReIDDataSample

from .inferencer import ReIDInferencer
from .preprocessing import resized

LEAST_ROWS = 8
MOST_EXTRA = 4  # tokens besides those of the places, such as the class token


class SimilarityCam:
    """Computes which places of an image make it similar to another, or different, by HiResCAM.

    The score of the model's own matcher takes the place of the class, as in Stylianou et al., Visualizing Deep
    Similarity Networks, WACV 2019. Each place is weighted by its own gradient (HiResCAM, Draelos and Carin, 2020), not
    by the mean over all places as in Grad-CAM, which points elsewhere where places count differently.

    Args:
        inferencer (ReIDInferencer): The model.
        layer (str, optional): Name of the layer in the model whose places are weighted. Defaults to None: the last one
            of the backbone with at least 8 rows of places, as fewer cannot show a garment, or the last one with places;
            of a transformer, the norm before the last attention.

    Raises:
        ImportError: If ``grad-cam`` is not installed.
        ValueError: If there is no such layer, or none with places.
    """

    def __init__(self, inferencer: ReIDInferencer, layer: str | None = None) -> None:
        try:
            import pytorch_grad_cam  # noqa: F401
        except ImportError as error:
            raise ImportError('class activation maps need grad-cam: pip install "mmreid[optional]"') from error
        self.inferencer = inferencer
        self.size = tuple(inferencer.contract.preprocessing.size)
        layers = dict(inferencer.model.named_modules())
        if layer is not None and layer not in layers:
            places = [name for name in layers if name.startswith('backbone.') and name.count('.') < 3]
            raise ValueError(f'the model has no layer {layer!r}; it has, for example, {", ".join(places[-8:])}')
        self.layer = layer or self._last_layer()
        self._module = layers[self.layer]

    def __call__(
        self,
        image: str | np.ndarray,
        against: str | np.ndarray | None = None,
        *,
        different: bool = False,
        modality: str | None = None,
        against_modality: str | None = None,
    ) -> np.ndarray:
        """Computes the map of an image.

        Args:
            image (str | np.ndarray): A file, or pixels (H, W, 3), BGR, uint8.
            against (str | np.ndarray, optional): Another image. Defaults to None: the map shows what the feature of
                ``image`` is made of.
            different (bool): Show what lowers the score of the two images instead of what raises it. Defaults to False.
            modality (str, optional): Of ``image``, for models that tell modalities apart.
            against_modality (str, optional): Of ``against``. Defaults to None: that of ``image``.

        Returns:
            np.ndarray: Heat of each pixel of the image as the network sees it, shape (H, W), float32, from 0 to 1.

        Raises:
            ValueError: If ``different`` has nothing to compare, or the features are maps and ``against`` is missing.
        """
        from pytorch_grad_cam import HiResCAM

        target = self._target(against, different, against_modality or modality)
        network = _Network(self.inferencer.model, modality)
        with HiResCAM(network, [self._module], self._on_grid) as cam:
            return cam(self._prepare(image).requires_grad_(True), [target])[0].astype(np.float32)

    def _target(
        self, against: str | np.ndarray | None, different: bool, modality: str | None
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        """Returns the function of a feature whose gradient weights the channels."""
        if against is not None:
            model = self.inferencer.model
            with torch.no_grad():
                other = _Network(model, modality)(self._prepare(against))
            sign = -1 if different else 1
            return lambda feature: sign * model.matcher(feature[None], other)[0, 0]
        if different or self.inferencer.contract.embedding == 'map':
            raise ValueError(
                'one image alone has no difference and, where features are maps, no feature of its own to show; give a '
                'second image (--against)'
            )
        return lambda feature: feature.square().sum()

    def _prepare(self, image: str | np.ndarray) -> torch.Tensor:
        """Returns an image as the network takes it, (1, 3, H, W)."""
        pixels = read_image(image, self.inferencer.max_pixels) if isinstance(image, str) else image
        inputs = resized(pixels, self.inferencer.contract.preprocessing)[None]
        return self.inferencer.model.data_preprocessor(dict(inputs=inputs, data_samples=[ReIDDataSample()]))['inputs']

    def _on_grid(self, output: torch.Tensor) -> torch.Tensor:
        """Returns maps as they are, and tokens (N, L, C) as maps (N, C, H, W)."""
        if output.ndim == 4:
            return output
        height, width = _grid(output.shape[1], self.size)
        return output[:, output.shape[1] - height * width :].transpose(1, 2).unflatten(2, (height, width))

    @torch.no_grad()
    def _last_layer(self) -> str:
        """Finds the layer by running the backbone once; layers that run several times are left out."""
        model, ended = self.inferencer.model, []
        hooks = [
            module.register_forward_hook(lambda module, inputs, output, name=name: ended.append((name, module, output)))
            for name, module in model.named_modules()
            if name.startswith('backbone.')
        ]
        try:
            modality = next(iter(self.inferencer.contract.modalities or [None]))
            _Network(model, modality)(self._prepare(np.full((*self.size, 3), 128, np.uint8)))
        finally:
            for hook in hooks:
                hook.remove()
        names = [name for name, _, _ in ended]
        once = [
            (name, module, rows)
            for name, module, output in ended
            if names.count(name) == 1 and isinstance(output, torch.Tensor) and (rows := _rows(output, self.size)) > 0
        ]
        attention = [i for i, (_, module, _) in enumerate(once) if 'Attention' in type(module).__name__]
        if attention:
            once = [entry for entry in once[: attention[-1]] if isinstance(entry[1], nn.LayerNorm)] or once
        if not once:
            raise ValueError(f'{type(model.backbone).__name__} has no layer with places; name one with layer=')
        names = [name for name, _, rows in once if rows >= LEAST_ROWS] or [name for name, _, _ in once]
        outermost = min(name.count('.') for name in names)  # a stage rather than a layer within a block
        return [name for name in names if name.count('.') == outermost][-1]


class _Network(nn.Module):
    """A model as a function of prepared images."""

    def __init__(self, model: nn.Module, modality: str | None) -> None:
        super().__init__()
        self.model, self.modality = model, modality

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        samples = [ReIDDataSample(metainfo=dict(modality=self.modality)) for _ in inputs]
        return self.model.extract_feat(inputs, samples)


def _rows(output: torch.Tensor, size: tuple[int, int]) -> int:
    """Returns the rows of places of an output, 0 if it is neither a map of several places nor tokens of places."""
    if output.ndim == 4:
        return output.shape[2] if output.shape[2] * output.shape[3] > 1 else 0
    grid = _grid(output.shape[1], size) if output.ndim == 3 else None
    return grid[0] if grid else 0


def _grid(tokens: int, size: tuple[int, int]) -> tuple[int, int] | None:
    """Returns rows and columns of the tokens of an image of this size; a class token and the like come first."""
    for extra in range(MOST_EXTRA + 1):
        width = math.isqrt(max(0, (tokens - extra) * size[1] // size[0]))
        if width and width * (width * size[0] // size[1]) == tokens - extra > 1:
            return width * size[0] // size[1], width
    return None
