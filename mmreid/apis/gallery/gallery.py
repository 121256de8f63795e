# Copyright (c) mmreid contributors. All rights reserved.
"""A gallery that grows: images, who they show, where and when, and the features of one model."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmreid.models import BaseReID

from ..inferencer import ReIDInferencer
from ..inputs import named_images
from .adding import add_features, add_images
from .approximate_index import KINDS, IndexFacts
from .entries import GalleryAnswer, GalleryEntry
from .entry_filter import ALL, GalleryFilter
from .milvus_address import is_address
from .milvus_store import MilvusStore
from .model_info import GalleryFacts, ModelInfo
from .new_entries import column_of
from .owned_store import OwnedStore
from .sqlite_store import SqliteStore
from .store import GalleryStore, Question

AnyModel = str | os.PathLike | BaseReID | ReIDInferencer | ModelInfo | None


class Gallery:
    """Images to be searched, with the features of one model. Make one by :meth:`open`; it is a context manager.

    Methods may be called from several threads, one of which works at a time.

    Args:
        store (GalleryStore): Where it is kept.
        model (ReIDInferencer | ModelInfo, optional): The model. Defaults to None.
    """

    def __init__(self, store: GalleryStore, model: ReIDInferencer | ModelInfo | None = None) -> None:
        self.owned = OwnedStore(store, model)
        self.store, self.lock, self.inferencer = store, self.owned.lock, self.owned.inferencer

    @classmethod
    def open(
        cls,
        path_or_url: str | os.PathLike,
        model: AnyModel = None,
        *,
        create: bool = True,
        wait: float = 10.0,
        **options: Any,
    ) -> 'Gallery':
        """Opens a gallery; makes it if it is absent.

        Args:
            path_or_url (str | PathLike): A file, or an address of :class:`MilvusStore`, ``milvus://HOST:PORT/NAME``.
            model (str | PathLike | BaseReID | ReIDInferencer | ModelInfo, optional): The model whose features it holds:
                what :class:`ReIDInferencer` takes, or for features that were extracted elsewhere a ``ModelInfo``.
                Defaults to None: of a new gallery, features of one size from an unknown model; of others, entries can
                be listed and deleted.
            create (bool): Make it if it is absent. Defaults to True.
            wait (float): Seconds to wait while another process writes. Defaults to 10.
            **options: Arguments of :class:`ReIDInferencer`, such as ``device``.

        Returns:
            Gallery: The gallery.

        Raises:
            FileNotFoundError: If it is absent and ``create=False``.
            GalleryDamagedError: If it is another file.
            OtherModelError: If it holds features of another model.
            TypeError: If there are options for a model that is not loaded here.
        """
        is_ready = model is None or isinstance(model, (ReIDInferencer, ModelInfo))
        if is_ready and options:
            raise TypeError(f'{", ".join(options)}: options of a model that is loaded here, but {model=!s:.60} is not')
        if not is_ready:
            model = ReIDInferencer(model, **options)
        place = os.fspath(path_or_url)
        store = MilvusStore(place, create) if is_address(place) else SqliteStore(Path(place), wait, create)
        try:
            return cls(store, model)
        except BaseException:
            store.close()
            raise

    def __enter__(self) -> 'Gallery':
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __len__(self) -> int:
        with self.lock:
            return self.store.count()

    def __iter__(self) -> Iterator[GalleryEntry]:
        """Goes through all entries in the order of their keys."""
        return self.entries()

    @property
    def facts(self) -> GalleryFacts:
        """GalleryFacts: What holds for all entries."""
        return self.owned.facts

    @property
    def model(self) -> ModelInfo | None:
        """ModelInfo | None: The model whose features it holds; None if that is unknown."""
        return self.facts.model

    def close(self) -> None:
        """Closes the gallery."""
        with self.lock:
            self.store.close()

    def entries(self, filter: GalleryFilter = ALL) -> Iterator[GalleryEntry]:  # noqa: A002  as in search
        """Goes through the entries that a filter chooses, in the order of their keys."""
        batches = self.store.entries(filter)
        while True:
            with self.lock:
                batch = next(batches, None)
            if batch is None:
                return
            yield from batch

    def get(self, keys: Sequence[int]) -> dict[int, GalleryEntry]:
        """Returns entries by key; those that do not exist are left out."""
        with self.lock:
            return self.store.get(keys)

    def add(
        self,
        images: Any = None,
        features: np.ndarray | None = None,
        ids: Any = None,
        cameras: Any = None,
        times: Any = None,
        modality: Any = None,
        extra: Any = None,
        *,
        channel_order: str | None = None,
        on_error: str = 'raise',
    ) -> list[int | None]:
        """Adds images or features; what it returned is on the disk.

        Images are added batch by batch, so a call that ends early has added some. A second call skips them: a file that
        is in the gallery, with the same facts, is not added again. Features without images are always added, all or
        none.

        Args:
            images (Any, optional): Images, see :class:`ReIDInferencer`. With ``features``, their names only.
            features (np.ndarray, optional): Features of the gallery's model, shape (N, D). Defaults to None: extracted.
            ids (Any, optional): Who each shows, a person or a tracklet: a text or number for all, or N of them.
            cameras (Any, optional): Cameras, likewise.
            times (Any, optional): Seconds since 1970, or datetimes, likewise.
            modality (Any, optional): ``'visible'`` or ``'infrared'``, likewise.
            extra (Any, optional): A dict for all, or N of them.
            channel_order (str, optional): ``'bgr'`` or ``'rgb'``; needed for NumPy arrays.
            on_error (str): ``'skip'`` leaves out images that cannot be read. Defaults to ``'raise'``.

        Returns:
            list[int | None]: The key of each image or feature; None for an image that was left out.

        Raises:
            CorruptImageError: If an image cannot be read.
            GalleryBusyError: If another process writes for too long.
            OSError: If the disk is full.
            OtherModelError: If the features are of another model.
            ValueError: If a value is not possible, or an image is in the gallery with other facts.
        """
        facts = dict(ids=ids, cameras=cameras, times=times, modality=modality, extra=extra)
        if features is not None:
            named = None if images is None else list(named_images(images, channel_order, None))
            return add_features(self.owned, named, features, facts)
        if images is None:
            raise ValueError('there is nothing to add: give images, or features')
        inferencer = self.owned.require_inferencer('adding images')
        return add_images(self.owned, list(named_images(images, channel_order, inferencer.max_pixels)), facts, on_error)

    def delete(
        self,
        ids: Any = None,
        keys: Any = None,
        filter: GalleryFilter | None = None,  # noqa: A002  as in search
    ) -> int:
        """Deletes entries, with their vectors, from the file and from all that is derived from it.

        Args:
            ids (Any, optional): Identities, one or several.
            keys (Any, optional): Keys of entries, one or several.
            filter (GalleryFilter, optional): Any other choice, such as ``GalleryFilter(until=time)``.

        Returns:
            int: How many entries were deleted.

        Raises:
            ValueError: If nothing is chosen, or more than one way of choosing is given.
        """
        given = [value for value in (ids, keys, filter) if value is not None]
        chosen = filter if filter is not None else GalleryFilter(ids=ids, keys=keys)
        if len(given) != 1 or chosen.is_empty:
            raise ValueError('say what to delete by one of ids, keys and filter; a filter must choose something')
        with self.lock:
            return self.store.delete(chosen)

    def search(
        self,
        query: Any,
        topk: int = 10,
        filter: GalleryFilter = ALL,  # noqa: A002  the natural name
        *,
        query_cameras: Any = None,
        per_id: str | None = None,
        modality: str | None = None,
        channel_order: str | None = None,
    ) -> list[list[GalleryAnswer]]:
        """Finds the best entries for each query.

        Args:
            query (Any): Images, see :class:`ReIDInferencer`, or features (Q, D) of the gallery's model.
            topk (int): Most answers to a query. Defaults to 10.
            filter (GalleryFilter): Which entries may be found. Defaults to all.
            query_cameras (Any, optional): The camera of all queries, or of each: its entries are not found.
            per_id (str, optional): ``'best'`` or ``'mean'``: answers are identities, scored by their best entry or by
                the mean of all. Entries without an id stand for themselves. Defaults to None: answers are entries.
            modality (str, optional): That of the query images, for models that tell them apart.
            channel_order (str, optional): ``'bgr'`` or ``'rgb'``; needed for NumPy arrays.

        Returns:
            list[list[GalleryAnswer]]: Answers to each query, best first; equal scores in the order of keys.

        Raises:
            CorruptImageError: If an image cannot be read.
            OtherModelError: If the features are of another model.
            ValueError: If a value is not possible.
        """
        if isinstance(query, np.ndarray) and np.issubdtype(query.dtype, np.floating):
            features = self.owned.to_search(query)
        else:
            inferencer = self.owned.require_inferencer('searching by images')
            options = dict(modality=modality, channel_order=channel_order, normalize=False)
            features = self.owned.to_search(inferencer.extract(query, **options))
        cameras = None if query_cameras is None else column_of(len(features), 'query_cameras', query_cameras)
        with self.lock:
            return self.store.search(Question(features, topk, filter, cameras, per_id))

    def build_index(self, kind: str | None = 'auto') -> IndexFacts | None:
        """Builds an approximate index of all entries, by faiss. Entries that come later are searched exactly.

        Deleting entries removes it, because it holds their vectors.

        Args:
            kind (str, optional): ``'hnsw'``, ``'ivf'``, or ``'auto'`` for what fits the number of entries; None for
                exact search. Defaults to ``'auto'``.

        Returns:
            IndexFacts | None: Its kind and measured recall; None if search is exact.

        Raises:
            ImportError: If faiss is not installed.
            ValueError: If ``kind`` is unknown, or the gallery holds maps.
        """
        if kind not in (None, 'auto', *KINDS):
            raise ValueError(f'kind={kind!r:.60} is unknown; use {", ".join(KINDS)}, auto or None')
        if self.facts.is_map and kind is not None:
            raise ValueError(f'{self.store.place} holds feature maps, of which there is no index; use kind=None')
        with self.lock:
            return self.store.build_index(kind)

    def info(self) -> dict[str, Any]:
        """Sums up the gallery as plain data: model, numbers of entries and identities, cameras, times, index, files."""
        model = None if self.model is None else dict(name=self.model.name, fingerprint=self.model.fingerprint)
        with self.lock:
            return dict(place=self.store.place, model=model, shape=self.facts.shape, **self.store.summary())

    def check(self) -> list[str]:
        """Examines all that is stored; returns a sentence for each fault."""
        with self.lock:
            return list(self.store.faults())
