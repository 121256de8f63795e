# Copyright (c) mmreid contributors. All rights reserved.
"""Exactly the batches that the code of the authors of QAConv-GS draws from a graph."""

import random
from collections.abc import Iterator

import numpy as np
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmreid.registry import DATA_SAMPLERS

from .graph_sampler import GraphSampler
from .seeded_sampler import check_seeded


@DATA_SAMPLERS.register_module()
class QAConvReferenceSampler(Sampler, GraphSampler):
    """Draws the batches of the official graph sampler, number for number, for comparisons with it.

    A pointer goes through the shuffled images of each identity over batches and epochs and shuffles them at the end, so
    an image may come twice in a batch there. For your own trainings, prefer ``GraphIdentitySampler``
    with ``IdentityBatchSampler``, which also has an instance sampler for two modalities.

    The streams are those of ``random`` and ``np.random`` after ``seed(seed)``, which continue from epoch to epoch;
    ``GraphSamplingHook`` keeps their state in the checkpoints. Several ranks use one stream and take batches in turn.

    Paper: Graph Sampling Based Deep Metric Learning for Generalizable Person Re-Identification, CVPR 2022
    (arXiv 2104.01546).

    Args:
        sampler (Sampler): Carries data set, seed and epoch, e.g. ``dict(type='DefaultSampler', shuffle=True)``.
        batch_size (int): Images per batch and rank.
        num_instances (int): K. Defaults to 2.
        rank (int, optional): This process rank. Defaults to the running one.
        world_size (int, optional): Number of ranks. Defaults to the size of the running group.

    Raises:
        ValueError: If these numbers do not make a batch.

    Attributes:
        classes (np.ndarray): Labels in the order in which the data set shows them first.
        pointers (np.ndarray): The next image of each identity, as an index into its images.
    """

    def __init__(
        self, sampler, batch_size: int, num_instances: int = 2, rank: int | None = None, world_size: int | None = None
    ) -> None:
        name = type(self).__name__
        check_seeded(sampler, name)
        if num_instances < 1 or batch_size % num_instances or batch_size < 2 * num_instances:
            raise ValueError(
                f'batch_size={batch_size} of {name} is not a multiple, from 2 on, of num_instances={num_instances}'
            )
        self.sampler = sampler
        self.dataset = sampler.dataset
        self.batch_size = batch_size
        self.num_instances = num_instances
        self.num_neighbors = batch_size // num_instances - 1
        running_rank, running_size = get_dist_info()
        self.rank = running_rank if rank is None else rank
        self.world_size = running_size if world_size is None else world_size

        labels = np.asarray(self.dataset.gt_labels)
        present, first = np.unique(labels, return_index=True)
        self.classes = present[np.argsort(first)]
        if len(self.classes) <= self.num_neighbors:
            raise ValueError(
                f'batch_size={batch_size} of {name} takes {self.num_neighbors + 1} identities, but the training set '
                f'has {len(self.classes)}; lower train_dataloader.batch_size to at most '
                f'{len(self.classes) * num_instances}'
            )
        self._in_order = [np.flatnonzero(labels == label).tolist() for label in self.classes]
        self._seed: int | None = None

    def __len__(self) -> int:
        return -(-len(self.classes) // self.world_size)

    def __iter__(self) -> Iterator[list[int]]:
        if self.neighbors is None:
            raise RuntimeError(
                f"{type(self).__name__} has no graph; add dict(type='GraphSamplingHook') to custom_hooks"
            )
        for turn in range(len(self)):
            yield self._batches[(turn * self.world_size + self.rank) % len(self._batches)].tolist()

    def representatives(self) -> np.ndarray:
        """Draws the image that stands for each identity in the next graph; indices into the data set, shape (C,)."""
        self._start()
        return np.array([self._numpy.choice(images) for images in self.images])

    def set_neighbors(self, neighbors: np.ndarray) -> None:
        """Draws the batches of an epoch from the graph."""
        self._start()
        self.neighbors = neighbors
        self._batches = np.array(
            [
                [image for place in (*row, anchor) for image in self._next_images(place)]
                for anchor, row in enumerate(neighbors.tolist())
            ]
        )
        self._numpy.shuffle(self._batches)

    def state(self) -> dict[str, list]:
        """Returns what the next epoch depends on, as plain lists."""
        self._start()
        version, python, gauss = self._python.getstate()
        state = self._numpy.get_state(legacy=False)
        return dict(
            images=[list(images) for images in self.images],
            pointers=self.pointers.tolist(),
            python=[version, list(python), gauss],
            numpy=[state['state']['key'].tolist(), int(state['state']['pos'])],
        )

    def load_state(self, state: dict[str, list]) -> None:
        """Continues from what :meth:`state` returned; raises a ValueError if it does not fit these images."""
        self._start()
        try:
            images = [list(images) for images in state['images']]
            if list(map(sorted, images)) != self._in_order:
                raise ValueError('its images are others')
            pointers = np.array(state['pointers'], dtype=np.int64)
            if pointers.shape != (len(images),) or not ((0 <= pointers) & (pointers < list(map(len, images)))).all():
                raise ValueError('its places are not in the images')
            version, python, gauss = state['python']
            self._python.setstate((version, tuple(python), gauss))
            key, place = state['numpy']
            if not 0 <= place <= len(key):  # NumPy would read beyond its key
                raise ValueError('its position in the random numbers is out of range')
            self._numpy.set_state(('MT19937', np.array(key, dtype=np.uint32), place))
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise ValueError(
                f'the checkpoint has no state of {type(self).__name__} for this training set ({error}); resume from '
                'another, or train again'
            ) from error
        self.images, self.pointers = images, pointers

    def _start(self) -> None:
        """Starts the streams; not earlier, as the seed of the run is known late."""
        if self._seed == self.sampler.seed:
            return
        self._seed = self.sampler.seed
        self._python, self._numpy = random.Random(self._seed), np.random.RandomState(self._seed)
        self.images = [list(images) for images in self._in_order]
        for images in self.images:
            self._python.shuffle(images)
        self.pointers = np.zeros(len(self.classes), dtype=np.int64)

    def _next_images(self, place: int) -> list[int]:
        """Takes K images of an identity, starting at its pointer."""
        images, taken = self.images[place], []
        while len(taken) < self.num_instances:
            start = self.pointers[place]
            part = images[start : start + self.num_instances - len(taken)]
            taken += part
            self.pointers[place] = start + len(part)
            if self.pointers[place] >= len(images):
                self._python.shuffle(images)
                self.pointers[place] = 0
        return taken
