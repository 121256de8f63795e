# Copyright (c) mmreid contributors. All rights reserved.
"""Uses a trained model: features of images, the score of two, the best of a gallery."""

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log

from mmreid.datasets.transforms.loading import MAX_PIXELS, CorruptImageError, check_max_pixels
from mmreid.models import BaseReID
from mmreid.models.reid.fingerprint import model_fingerprint
from mmreid.structures import ReIDDataSample
from mmreid.utils.progress import track

from .inputs import NamedImage, boxes_of, named_images
from .model_building import contract_of_model, get_model
from .model_list import list_models
from .preprocessing import resized
from .search import SearchResult, search_features
from .threshold import Comparison, Threshold, read_threshold

PRECISIONS = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)
#: Of one side, or of the first and the second side: the queries and the gallery.
Modality = str | tuple[str, str] | None


class ReIDInferencer:
    """Uses a trained model on images.

    Images may be given as a path, a folder (with all folders below), a glob, a NumPy array (H, W, 3), (H, W) or
    (N, H, W, 3) of uint8 with its ``channel_order``, a PIL image, or as a list or generator of these. Pass
    ``modality=`` to a model that handles several.

    Args:
        model (str | PathLike | Config | BaseReID, optional): A training checkpoint ``*.pth``, a published folder, a
            config file, a name of :meth:`list_models` such as ``'mmreid::...'``, or a model of :func:`get_model`.
            Defaults to None: what the weights describe.
        weights (str | PathLike, optional): A file, an address, a published folder, or ``'hf://owner/name'`` for one on
            the Hugging Face Hub; ``'none'`` for initial weights. Defaults to None: those that come with the model.
        device (str | torch.device, optional): Where the model runs. Defaults to None: the GPU if there is one.
        batch_size (int): Images of a batch. Defaults to 32.
        precision (str): ``'fp32'``, ``'bf16'`` or ``'fp16'`` (mixed precision). Defaults to ``'fp32'``.
        flip_test (bool, optional): Add the feature of the mirrored image; a built model cannot be told otherwise.
            Defaults to None: as the model says.
        num_workers (int): Threads that read images. Defaults to 0: the caller's.
        max_pixels (int, optional): Refuse an image file of more pixels; None for no limit. Defaults to 64 million.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If there is no such model, the weights belong to another one or hold NaN, or the config does not say
            how images are prepared.
    """

    def __init__(
        self,
        model: str | os.PathLike | Config | BaseReID | None = None,
        weights: str | os.PathLike | None = None,
        device: str | torch.device | None = None,
        *,
        batch_size: int = 32,
        precision: str = 'fp32',
        flip_test: bool | None = None,
        num_workers: int = 0,
        max_pixels: int | None = MAX_PIXELS,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f'precision={precision!r} is unknown; use one of {", ".join(PRECISIONS)}')
        if type(batch_size) is not int or batch_size < 1:
            raise ValueError(f'batch_size={batch_size!r} must be a whole number of at least 1')
        if type(num_workers) is not int or num_workers < 0:
            raise ValueError(f'num_workers={num_workers!r} must be a whole number of at least 0')
        self.device = _device(device)
        self.batch_size = batch_size
        self.dtype = PRECISIONS[precision]
        self.num_workers = num_workers
        self.max_pixels = check_max_pixels(max_pixels)
        if isinstance(model, BaseReID) and (weights is not None or flip_test not in (None, model.flip_test)):
            raise ValueError(
                f'weights={weights} and flip_test={flip_test} cannot change a model that is built already, as others '
                'may use it; build another one'
            )
        self.model = model if isinstance(model, BaseReID) else get_model(model, weights or True)
        self.model.to(self.device).eval()
        self.name = type(model).__name__ if isinstance(model, (BaseReID, Config)) else Path(model or weights or '').name
        if weights is not None:
            self.name = Path(weights).name
        if flip_test and contract_of_model(self.model).embedding == 'map':
            raise ValueError('flip_test=True adds two features, which maps do not allow; leave it out for this model')
        if flip_test is not None:
            self.model.flip_test = flip_test
        self.contract = contract_of_model(self.model)
        self._running = threading.Lock()  # a model that tells modalities apart knows those of one batch

    def __call__(self, inputs: Any, **options) -> np.ndarray:
        """Does what :meth:`extract` does."""
        return self.extract(inputs, **options)

    @staticmethod
    def list_models(pattern: str | None = None) -> list[str]:
        """Lists the models that can be given by name; see :func:`list_models`."""
        return list_models(pattern)

    def extract(
        self,
        inputs: Any,
        *,
        boxes: Any = None,
        modality: str | None = None,
        channel_order: str | None = None,
        normalize: bool = True,
        on_error: str = 'raise',
        return_names: bool = False,
        progress: bool = True,
    ) -> np.ndarray | tuple[np.ndarray, list[str]]:
        """Extracts the features of images.

        Args:
            inputs (Any): Images, see the class.
            boxes (Any, optional): Boxes of a single image, (N, 4): left, top, right, bottom in pixels. What lies
                outside of the image is cut off. Defaults to None, the whole image.
            modality (str, optional): ``'visible'`` or ``'infrared'``, for models that tell them apart.
            channel_order (str, optional): ``'bgr'`` or ``'rgb'``; needed for NumPy arrays.
            normalize (bool): L2-normalize vectors; False gives what the model computes. Defaults to True.
            on_error (str): ``'raise'``, or ``'skip'`` to leave images out that cannot be read, with a warning for
                each. Defaults to ``'raise'``.
            return_names (bool): Also give the names of the images. Defaults to False.
            progress (bool): Show a bar when it takes long. Defaults to True.

        Returns:
            np.ndarray | tuple[np.ndarray, list[str]]: Vectors (N, D), or maps (N, C, H, W), float32. Maps are
            L2-normalized at each location, whatever ``normalize`` says.

        Raises:
            CorruptImageError: If an image cannot be read.
            ValueError: If there are no images, a box is not in the frame, or the modality is missing.
        """
        images = self._cut(inputs, boxes, channel_order) if boxes is not None else None
        if images == []:  # a frame without people
            return (self._no_features(modality), []) if return_names else self._no_features(modality)
        images = images or self._images(inputs, channel_order)
        names, features = self._extract(images, modality, on_error, progress)
        features = self._finished(features, normalize)
        return (features, names) if return_names else features

    def iter_extract(
        self,
        inputs: Any,
        *,
        modality: str | None = None,
        channel_order: str | None = None,
        normalize: bool = True,
        on_error: str = 'raise',
    ) -> Iterator[tuple[list[str], np.ndarray]]:
        """Extracts batch by batch, so that memory does not grow with the number of images.

        Args:
            inputs (Any): Images, see the class; a generator is read as far as a batch needs.
            modality (str, optional): See :meth:`extract`.
            channel_order (str, optional): See :meth:`extract`.
            normalize (bool): See :meth:`extract`. Defaults to True.
            on_error (str): See :meth:`extract`. Defaults to ``'raise'``.

        Yields:
            tuple[list[str], np.ndarray]: Names and features of up to ``batch_size`` images.
        """
        batches = self._batches(named_images(inputs, channel_order, self.max_pixels))
        for names, features in self._features_of(batches, modality, on_error):
            yield names, self._finished(features, normalize)

    def extract_embeddings(
        self, detections: Any, frame: np.ndarray, *, modality: str | None = None, channel_order: str = 'bgr'
    ) -> np.ndarray:
        """Extracts one embedding for each detection of a frame, as trackers ask for it.

        Args:
            detections (Any): Boxes (N, 4), left, top, right, bottom in pixels, or an object with these as ``xyxy``.
            frame (np.ndarray): Shape (H, W, 3), uint8.
            modality (str, optional): See :meth:`extract`.
            channel_order (str): Of the frame. Defaults to ``'bgr'``, as OpenCV reads.

        Returns:
            np.ndarray: Shape (N, D), L2-normalized, float32, in the order of the detections.
        """
        boxes = detections.xyxy if hasattr(detections, 'xyxy') else detections  # an object of another project
        if boxes is None:
            raise TypeError('detections=None is no list of boxes; for a frame without people, give an empty one')
        return self.extract(frame, boxes=boxes, modality=modality, channel_order=channel_order, progress=False)

    @cached_property
    def fingerprint(self) -> str:
        """str: 16 hexadecimal digits, the same for models of equal weights and ``flip_test``."""
        return model_fingerprint(self.model)

    @cached_property
    def feature_shape(self) -> tuple[int, ...]:
        """tuple[int, ...]: Shape of the feature of one image, (D,) or (C, H, W)."""
        return self._no_features(next(iter(self.contract.modalities), None)).shape[1:]

    def load_threshold(self, threshold: str | os.PathLike | Threshold) -> Threshold:
        """Reads the file of a threshold, and checks that it was calibrated with this model.

        Args:
            threshold (str | PathLike | Threshold): What ``tools/analysis_tools/calibrate_threshold.py`` wrote.

        Returns:
            Threshold: The threshold.

        Raises:
            ValueError: If it is another file, or belongs to another model.
        """
        if not isinstance(threshold, Threshold):
            threshold = read_threshold(threshold)
        threshold.require_model(self.name, self.fingerprint, self.contract.digest)
        return threshold

    def compare(
        self,
        a: Any,
        b: Any,
        *,
        modality: Modality = None,
        channel_order: str | None = None,
        threshold: str | os.PathLike | Threshold | None = None,
    ) -> float | Comparison:
        """Scores two images.

        Args:
            a (Any): An image.
            b (Any): Another one.
            modality (str | tuple[str, str], optional): Of both, or of each.
            channel_order (str, optional): See :meth:`extract`.
            threshold (str | PathLike | Threshold, optional): See :meth:`load_threshold`. Defaults to None.

        Returns:
            float | Comparison: The score of the model's matcher, higher is more similar: a cosine in [-1, 1], a
            negative squared distance, or the logit of QAConv. With a threshold, ``(score, same)``.
        """
        threshold = None if threshold is None else self.load_threshold(threshold)
        of_a, of_b = _of_each_side(modality)
        result = self._search(self._side(a, of_a, channel_order), self._side(b, of_b, channel_order), topk=1)
        if len(result.query_names) != 1 or len(result.gallery_names) != 1:
            raise ValueError(
                f'compare takes two images, but got {len(result.query_names)} and {len(result.gallery_names)}; use '
                'search'
            )
        score = float(result.scores[0, 0])
        return score if threshold is None else threshold.decide(score)

    def search(
        self,
        query: Any,
        gallery: Any,
        topk: int = 10,
        *,
        modality: Modality = None,
        channel_order: str | None = None,
        on_error: str = 'raise',
        rerank: bool = False,
        skip_own_file: bool = False,
    ) -> SearchResult:
        """Finds the best gallery images of each query, exactly.

        Args:
            query (Any): Images, or features that :meth:`extract` gave (with ``normalize=False`` if the model's matcher
                is not the cosine).
            gallery (Any): Likewise.
            topk (int): How many to find for each query. Defaults to 10.
            modality (str | tuple[str, str], optional): Of all, or of the queries and of the gallery.
            channel_order (str, optional): See :meth:`extract`.
            on_error (str): See :meth:`extract`. Defaults to ``'raise'``.
            rerank (bool): Order by k-reciprocal re-ranking; scores are then negative distances. Defaults to False.
            skip_own_file (bool): Do not find the file of the query itself, where the gallery has it. Defaults to False.

        Returns:
            SearchResult: ``indices`` and ``scores``, each (Q, K), and ``names``.
        """
        of_query, of_gallery = _of_each_side(modality)
        sides = (
            self._side(query, of_query, channel_order, on_error),
            self._side(gallery, of_gallery, channel_order, on_error),
        )
        return self._search(*sides, topk, rerank=rerank, skip_own_file=skip_own_file)

    def _search(
        self, query: tuple[list[str], torch.Tensor], gallery: tuple[list[str], torch.Tensor], topk: int, **options
    ) -> SearchResult:
        names = query[0], gallery[0]
        return search_features(query[1], gallery[1], self.model.matcher, topk, self.device, names, **options)

    def _side(
        self, inputs: Any, modality: str | None, channel_order: str | None, on_error: str = 'raise'
    ) -> tuple[list[str], torch.Tensor]:
        """Returns names and raw features of images, or of precomputed features."""
        dims = 4 if self.contract.embedding == 'map' else 2
        if isinstance(inputs, np.ndarray) and np.issubdtype(inputs.dtype, np.floating):
            if inputs.ndim != dims or not len(inputs):
                raise ValueError(f'an array of shape {inputs.shape}, {inputs.dtype}, holds neither features nor images')
            if inputs.shape[1:] != self.feature_shape:
                raise ValueError(
                    f'features have the shape {inputs.shape[1:]}, but those of {self.name} {self.feature_shape}; '
                    'extract them with this model'
                )
            names = [f'feature {index}' for index in range(len(inputs))]
            return names, torch.from_numpy(inputs.astype(np.float32, copy=False))
        return self._extract(self._images(inputs, channel_order), modality, on_error, progress=True)

    def _images(self, inputs: Any, channel_order: str | None) -> Iterable[NamedImage]:
        """Lists the images; those of a generator are read as far as a batch needs, so that they are never all there."""
        images = named_images(inputs, channel_order, self.max_pixels)
        return images if isinstance(inputs, Iterator) else list(images)

    def _cut(self, frame: Any, boxes: Any, channel_order: str | None) -> list[NamedImage]:
        images = list(islice(named_images(frame, channel_order, self.max_pixels), 2))
        if len(images) != 1:
            raise ValueError('boxes belong to a single image, but several were given; call it for each frame')
        return boxes_of(images[0], boxes)

    def _extract(
        self, images: Iterable[NamedImage], modality: str | None, on_error: str, progress: bool
    ) -> tuple[list[str], torch.Tensor]:
        batches = self._batches(images)
        if progress and isinstance(images, list):
            batches = track(list(batches), 'extracting')
        names, features = zip(*self._features_of(batches, modality, on_error), strict=True)
        return [name for batch in names for name in batch], torch.cat(features)

    def _batches(self, images: Iterable[NamedImage]) -> Iterator[list[NamedImage]]:
        images = iter(images)
        return iter(lambda: list(islice(images, self.batch_size)), [])

    def _features_of(
        self, batches: Iterable[Sequence[NamedImage]], modality: str | None, on_error: str
    ) -> Iterator[tuple[list[str], torch.Tensor]]:
        if on_error not in ('raise', 'skip'):
            raise ValueError(f"on_error={on_error!r} is unknown; use 'raise' or 'skip'")
        self._check_modality(modality)
        first, found = '', False
        with ThreadPoolExecutor(self.num_workers) if self.num_workers else nullcontext() as pool:
            for batch in batches:
                prepared = list((pool.map if pool else map)(lambda image: self._prepared(image, on_error), batch))
                kept = [
                    (image.name, inputs) for image, inputs in zip(batch, prepared, strict=True) if inputs is not None
                ]
                first = first or batch[0].name
                if kept:
                    found = True
                    names, inputs = zip(*kept, strict=True)
                    yield list(names), self._forward(inputs, names, modality)
        if not found:
            raise ValueError(f'none of the images can be read, the first is {first}')

    def _check_modality(self, modality: str | None) -> None:
        known = self.contract.modalities
        if known and modality not in known:
            raise ValueError(
                f'modality={modality!r}, but this model must know that of the images; give one of {", ".join(known)}'
            )
        if modality is not None and not known:
            raise ValueError(f'modality={modality!r}, but this model does not tell modalities apart; leave it out')

    def _prepared(self, image: NamedImage, on_error: str) -> torch.Tensor | None:
        try:
            pixels = image.read()
        except CorruptImageError as error:
            if on_error == 'raise':
                raise
            print_log(f'left out: {error}', 'current', logging.WARNING)
            return None
        return resized(pixels, self.contract.preprocessing)

    @torch.no_grad()
    def _forward(self, inputs: Sequence[torch.Tensor], names: Sequence[str], modality: str | None) -> torch.Tensor:
        """Runs the model as a test does; float32, on the CPU."""
        samples = [ReIDDataSample(metainfo=dict(img_path=name, modality=modality)) for name in names]
        batch = self.model.data_preprocessor(dict(inputs=torch.stack(list(inputs)), data_samples=samples))
        with self._running, torch.autocast(self.device.type, self.dtype) if self.dtype else nullcontext():
            samples = self.model(**batch, mode='predict')
        features = torch.stack([sample.feature for sample in samples]).float().cpu()
        bad = (~features.flatten(1).isfinite().all(1)).nonzero()
        if len(bad):
            raise ValueError(
                f'the feature of {names[int(bad[0])]} is NaN or infinite; check the weights, or use precision="fp32"'
            )
        return features

    def _finished(self, features: torch.Tensor, normalize: bool) -> np.ndarray:
        if normalize and self.contract.embedding == 'vector':
            features = F.normalize(features, dim=1)
        return features.numpy()

    def _no_features(self, modality: str | None) -> np.ndarray:
        blank = NamedImage('a blank image', lambda: np.zeros((*self.contract.preprocessing.size, 3), np.uint8))
        return self._extract([blank], modality, 'raise', progress=False)[1][:0].numpy()


def _of_each_side(modality: Modality) -> tuple[str | None, str | None]:
    if modality is None or isinstance(modality, str):
        return modality, modality
    if len(modality) != 2:
        raise ValueError(f'modality={modality!r} must be one name, or that of the queries and that of the gallery')
    return tuple(modality)


def _device(device: str | torch.device | None) -> torch.device:
    try:
        found = torch.device(device or get_device())
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is unknown; use 'cpu', or 'cuda' or 'cuda:1' for a GPU") from error
    if found.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f"device={device!r}, but torch finds no GPU; use 'cpu'")
    return found
