# Copyright (c) mmreid contributors. All rights reserved.
"""A store whose features are those of one model."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from mmreid.models.matchers import CosineMatcher

from ..inferencer import ReIDInferencer
from .kept_features import check_shape, kept_features
from .model_info import GalleryFacts, ModelInfo, OtherModelError
from .store import GalleryStore


class OwnedStore:
    """A store and the model that it was opened with.

    Args:
        store (GalleryStore): Where the gallery is kept.
        model (ReIDInferencer | ModelInfo | None): The model.

    Raises:
        OtherModelError: If the gallery holds features of another model.
    """

    def __init__(self, store: GalleryStore, model: ReIDInferencer | ModelInfo | None) -> None:
        self.store, self.lock = store, threading.RLock()
        self.inferencer = model if isinstance(model, ReIDInferencer) else None
        self.given = ModelInfo.of(model) if isinstance(model, ReIDInferencer) else model
        self.facts = store.settle(GalleryFacts(self.given))
        if self.given is not None:
            if self.facts.model is None:
                raise OtherModelError(
                    f'{store.place} holds features of an unknown model, but was opened with {self.given}; open it '
                    'without a model, or make a new gallery'
                )
            self.facts.model.require_same(self.given, store.place)
        self._compare()

    def to_add(self, features: Any) -> np.ndarray:
        """Returns features as the gallery keeps them; the first ones of an unknown model decide on their size."""
        return self._checked(features, is_new=True)

    def to_search(self, features: Any) -> np.ndarray:
        """Returns features as the gallery keeps them, and changes nothing."""
        return self._checked(features, is_new=False)

    def _checked(self, features: Any, is_new: bool) -> np.ndarray:
        """Refuses features of another size or of an unknown model."""
        if self.facts.model is not None and self.given is None:
            raise OtherModelError(
                f'{self.store.place} holds features of {self.facts.model}, not of an unknown model; open it with that '
                'model, or with its ModelInfo for features that were extracted elsewhere'
            )
        array = check_shape(features, self.facts)
        facts = self.facts if self.facts.shape else self._facts_for(array.shape[1:], is_new)
        return kept_features(array, facts, self.store.place)

    def _facts_for(self, shape: tuple[int, ...], is_new: bool) -> GalleryFacts:
        """Returns the facts of a gallery without features; the model says which size they have, else ``shape``."""
        shape = shape if self.inferencer is None else self.inferencer.feature_shape
        with self.lock:
            self.facts = self.store.settle(GalleryFacts(self.given, shape if is_new else None))
        return self.facts if self.facts.shape else replace(self.facts, shape=shape)

    def require_inferencer(self, purpose: str) -> ReIDInferencer:
        """Returns the model; raises ValueError, which begins with ``purpose``, where it was not given."""
        if self.inferencer is None:
            whose = self.facts.model or 'a model'
            raise ValueError(f'{purpose} needs {whose}; open {self.store.place} with model=')
        return self.inferencer

    def _compare(self) -> None:
        """Tells the store how features are compared; of maps only the model itself knows."""
        if self.inferencer is not None:
            self.store.compare_by(self.inferencer.model.matcher, self.inferencer.device)
            return
        matcher = CosineMatcher() if self.facts.model is None else self.facts.model.vector_matcher()
        if matcher is not None:
            self.store.compare_by(matcher, torch.device('cpu'))
