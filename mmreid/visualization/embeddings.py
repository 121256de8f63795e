# Copyright (c) mmreid contributors. All rights reserved.
"""Places embeddings on a plane by t-SNE, and draws them in the colors of their labels."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch.nn import functional as F

from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.utils.atomic_io import atomic_write

MARKERS = 'osD^vP*X'
MOST_NAMED = 12  # values of a label in a legend
PERPLEXITY = 30.0


@dataclass(frozen=True)
class Embeddings:
    """Embeddings and their labels.

    Attributes:
        feature (torch.Tensor): L2-normalized vectors, shape (N, D), float32.
        labels (dict[str, list[str]]): ``identity``, ``camera``, ``domain``, and ``modality`` if known, of each image.
        img_path (list[str]): The image files.
    """

    feature: torch.Tensor
    labels: dict[str, list[str]]
    img_path: list[str]

    def __len__(self) -> int:
        return len(self.img_path)

    @property
    def varied(self) -> list[str]:
        """list[str]: Labels with at least two values, or the identity."""
        return [name for name, values in self.labels.items() if len(set(values)) > 1] or ['identity']


def choose_embeddings(
    test_sets: Sequence[tuple[str, RetrievalSet, RetrievalSet]], num_images: int, seed: int = 0
) -> Embeddings:
    """Chooses people at random, and takes all images of them, from each test set as many.

    Args:
        test_sets (Sequence[tuple[str, RetrievalSet, RetrievalSet]]): Name, queries and gallery of each test set; the
            name is the domain. Maps (C, H, W) are averaged over their places.
        num_images (int): Most images in all.
        seed (int): Seed of the choice. Defaults to 0.

    Returns:
        Embeddings: The images.

    Raises:
        ValueError: If the test sets have vectors of several lengths, which come from different models.
    """
    features, paths = [], []
    labels: dict[str, list[str]] = dict(identity=[], camera=[], modality=[], domain=[])
    for name, *sides in test_sets:
        pids = torch.cat([side.pid for side in sides])
        chosen = _choose(pids, num_images // len(test_sets), seed)
        feature = torch.cat([side.feature for side in sides])[chosen].float()
        features.append(feature.flatten(2).mean(2) if feature.ndim > 2 else feature)
        columns = {key: [value for side in sides for value in _column(side, key)] for key in labels if key != 'domain'}
        columns |= dict(domain=[name] * len(pids), path=[path for side in sides for path in side.img_path])
        prefix = f'{name} ' if len(test_sets) > 1 else ''
        for index in chosen.tolist():
            labels['identity'].append(prefix + columns['identity'][index])
            labels['camera'].append(prefix + columns['camera'][index])
            labels['modality'].append(columns['modality'][index])
            labels['domain'].append(name)
            paths.append(columns['path'][index])
    lengths = {name: feature.shape[1] for (name, *_), feature in zip(test_sets, features, strict=True)}
    if len(set(lengths.values())) > 1:
        said = ', '.join(f'{length} of {name}' for name, length in lengths.items())
        raise ValueError(f'the vectors have different lengths ({said}), so they come from different models; give one')
    return Embeddings(F.normalize(torch.cat(features), dim=1), labels, paths)


def project(feature: torch.Tensor, seed: int = 0, perplexity: float = PERPLEXITY) -> np.ndarray:
    """Places vectors on a plane by t-SNE (van der Maaten and Hinton, JMLR 2008).

    Args:
        feature (torch.Tensor): L2-normalized vectors, shape (N, D), N at least 5.
        seed (int): Seed. Defaults to 0.
        perplexity (float): About how many neighbors each has; at most a third of the images. Defaults to 30.

    Returns:
        np.ndarray: Shape (N, 2), float32.

    Raises:
        ImportError: If scikit-learn is not installed.
        ValueError: If there are fewer than 5 vectors.
    """
    if len(feature) < 5:
        raise ValueError(f'{len(feature)} images are too few for t-SNE; give at least 5')
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise ImportError('t-SNE needs scikit-learn: pip install scikit-learn') from error
    perplexity = min(perplexity, (len(feature) - 1) / 3)
    return TSNE(perplexity=perplexity, init='pca', random_state=seed).fit_transform(feature.numpy())


def draw_embeddings(
    file: str | os.PathLike | BinaryIO, places: np.ndarray, labels: Mapping[str, Sequence[str]], title: str = ''
) -> None:
    """Draws a panel for each label; equal values have equal colors and markers.

    Args:
        file (str | os.PathLike | BinaryIO): A .png, .pdf or .svg file; or an open file, which gets a PNG.
        places (np.ndarray): From :func:`project`, shape (N, 2).
        labels (Mapping[str, Sequence[str]]): Values of each label, N.
        title (str): Title. Defaults to ''.
    """
    figure = Figure(figsize=(6 * len(labels), 6), layout='constrained', dpi=110)
    FigureCanvasAgg(figure)
    figure.suptitle(title.replace('$', r'\$'))
    panels = figure.subplots(1, len(labels), squeeze=False)[0]
    for axes, (name, values) in zip(panels, labels.items(), strict=True):
        _draw_panel(axes, places, np.array(values), name)
    if isinstance(file, (str, os.PathLike)):
        atomic_write(file, lambda opened: figure.savefig(opened, format=Path(file).suffix[1:]))
    else:
        figure.savefig(file, format='png')


def _draw_panel(axes: Axes, places: np.ndarray, values: np.ndarray, name: str) -> None:
    distinct = sorted(set(values.tolist()), key=lambda value: (len(value), value))
    for number, value in enumerate(distinct):
        own = places[values == value]
        style = dict(color=f'C{number % 10}', marker=MARKERS[number // 10 % len(MARKERS)])
        axes.scatter(*own.T, label=value.replace('$', r'\$'), s=16, alpha=0.8, linewidths=0, **style)
    axes.set_title(f'by {name} ({len(distinct)})')
    axes.set(xticks=[], yticks=[])
    if len(distinct) <= MOST_NAMED:
        axes.legend(fontsize=8, loc='best')


def _choose(pids: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Returns the images of random identities, at most ``count``, in order."""
    values, numbers = pids.unique(return_inverse=True)
    shuffled = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))
    order = shuffled.argsort()[numbers].argsort(stable=True)
    return order[:count].sort().values


def _column(side: RetrievalSet, key: str) -> list[str]:
    """Returns a label of each image as text, by the user's own names where these are known."""
    if key == 'modality':
        return [value or 'unknown' for value in side.modality or [None] * len(side)]
    numbers, names = (side.pid, side.pid_name) if key == 'identity' else (side.camid, side.camid_name)
    return [
        str(n) if name is None else name for n, name in zip(numbers.tolist(), names or [None] * len(side), strict=True)
    ]
