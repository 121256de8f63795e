# Copyright (c) mmreid contributors. All rights reserved.
"""Which model the features of a gallery are of."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmreid.models.matchers import CosineMatcher, EuclideanMatcher, Matcher
from mmreid.structures import InferenceContract
from mmreid.utils.json_text import parse_json

from ..inferencer import ReIDInferencer

FORMAT = 1
_VECTOR_MATCHERS = dict(CosineMatcher=CosineMatcher, EuclideanMatcher=EuclideanMatcher)


class OtherModelError(ValueError):
    """Features of two models would be mixed; the message names both."""


@dataclass(frozen=True)
class ModelInfo:
    """What tells the features of one model from those of another.

    Args:
        name (str): The weights, for messages.
        fingerprint (str): What :attr:`ReIDInferencer.fingerprint` gives for them.
        contract (InferenceContract, optional): How images are prepared and features are compared. Defaults to None:
            unknown, features are vectors that are compared by the cosine.
    """

    name: str
    fingerprint: str
    contract: InferenceContract | None = None

    def __str__(self) -> str:
        return f'{self.name} ({self.fingerprint})'

    @classmethod
    def of(cls, inferencer: ReIDInferencer) -> 'ModelInfo':
        """Describes the model of an inferencer."""
        return cls(inferencer.name, inferencer.fingerprint, inferencer.contract)

    @property
    def is_map(self) -> bool:
        """bool: Whether a feature is a map (C, H, W) instead of a vector."""
        return self.contract is not None and self.contract.embedding == 'map'

    @property
    def matcher_name(self) -> str:
        """str: The class that compares two features."""
        return 'CosineMatcher' if self.contract is None else str(self.contract.matcher.get('type'))

    def vector_matcher(self) -> Matcher | None:
        """Builds what compares two features; None where that needs the model itself."""
        kind = _VECTOR_MATCHERS.get(self.matcher_name)
        return kind() if kind else None

    def require_same(self, other: 'ModelInfo', place: str) -> None:
        """Raises OtherModelError unless features of ``other``, too, are of this model."""
        advice = 'features of two models cannot be compared: use that model, or make a new gallery'
        if other.fingerprint != self.fingerprint:
            raise OtherModelError(f'{place} holds features of {self}, not of {other}; {advice}')
        if self.contract is None or other.contract is None:
            return
        ours, theirs = self.contract.preprocessing, other.contract.preprocessing
        if ours != theirs:
            raise OtherModelError(
                f'{place} holds features of {self} with {ours}, but {other} prepares images by {theirs}; {advice}'
            )
        ours, theirs = self.contract.scoring, other.contract.scoring
        for name in ours:
            if ours[name] != theirs[name]:
                raise OtherModelError(
                    f'{place} holds features of {self} with the {name} config {ours[name]}, but {other} is used with '
                    f'{theirs[name]}; {advice}'
                )

    def to_plain(self) -> dict[str, Any]:
        """Returns the description as JSON has it."""
        contract = None if self.contract is None else json.loads(self.contract.to_json())
        return dict(name=self.name, fingerprint=self.fingerprint, contract=contract)

    @classmethod
    def from_plain(cls, content: Any, place: str) -> 'ModelInfo':
        """Reads what :meth:`to_plain` gave; raises ValueError for anything else."""
        if not isinstance(content, dict) or set(content) != {'name', 'fingerprint', 'contract'}:
            raise ValueError(f'{place} does not say which model its features are of, but {content!r:.60}')
        for key in ('name', 'fingerprint'):
            value = content[key]
            if not isinstance(value, str) or not 0 < len(value) <= 300 or not value.isprintable():
                raise ValueError(f'{place}: model.{key}={value!r:.60} is not a short text')
        contract = content['contract']
        if contract is not None:
            contract = InferenceContract.from_json(json.dumps(contract), place)
        return cls(content['name'], content['fingerprint'], contract)


@dataclass(frozen=True)
class GalleryFacts:
    """What holds for all entries of a gallery.

    Attributes:
        model (ModelInfo | None): The model; None for features of an unknown one.
        shape (tuple[int, ...] | None): Shape of a feature; None before the first.
    """

    model: ModelInfo | None = None
    shape: tuple[int, ...] | None = None

    @property
    def is_map(self) -> bool:
        """bool: Whether features are maps (C, H, W), which are kept in half precision, instead of vectors."""
        return self.model is not None and self.model.is_map

    @property
    def dtype(self) -> np.dtype:
        """np.dtype: In which features are kept."""
        return np.dtype(np.float16 if self.is_map else np.float32)

    @property
    def uses_cosine(self) -> bool:
        """bool: Whether features are compared by the cosine; they are then kept with length 1."""
        return self.model is None or self.model.matcher_name == 'CosineMatcher'

    def to_json(self) -> str:
        """Writes the facts as JSON."""
        model = None if self.model is None else self.model.to_plain()
        return json.dumps(dict(format=FORMAT, model=model, shape=self.shape), allow_nan=False)

    @classmethod
    def from_json(cls, text: str, place: str) -> 'GalleryFacts':
        """Reads facts that may come from anybody; raises ValueError for anything else."""
        try:
            content = parse_json(text)
        except ValueError as error:
            raise ValueError(f'{place} does not describe a gallery ({error}); restore a backup') from error
        if not isinstance(content, Mapping) or set(content) != {'format', 'model', 'shape'}:
            raise ValueError(f'{place} does not describe a gallery, but {content!r:.60}')
        if content['format'] != FORMAT:
            raise ValueError(f'{place} has the format {content["format"]!r:.60}; this version of mmreid reads {FORMAT}')
        shape = content['shape']
        if shape is not None:
            if not isinstance(shape, list) or len(shape) not in (1, 3) or not all(_is_size(size) for size in shape):
                raise ValueError(f'{place}: shape={shape!r:.60} of features is neither [D] nor [C, H, W]')
            shape = tuple(shape)
        model = content['model']
        return cls(None if model is None else ModelInfo.from_plain(model, place), shape)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65_536
