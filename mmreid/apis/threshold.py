# Copyright (c) mmreid contributors. All rights reserved.
"""The score from which two images show the same person, in a JSON file that belongs to one model."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mmreid.utils.json_text import is_number, parse_json

FORMAT = 'mmreid threshold 1'


class Comparison(NamedTuple):
    """Two images, compared and decided.

    Attributes:
        score (float): The score of the model's matcher.
        same (bool): Whether it reaches the threshold.
    """

    score: float
    same: bool


@dataclass(frozen=True)
class Threshold:
    """A threshold of one model; pairs of at least this score count as the same person.

    Attributes:
        value (float): The lowest score that is accepted.
        model_name (str): The weights that it was calibrated with, for messages.
        model_hash (str): What :func:`~mmreid.models.reid.fingerprint.model_fingerprint` gives for them.
        place (str): The file, for messages.
        contract (str, optional): :attr:`InferenceContract.digest` of the model. Defaults to None: unknown.
    """

    value: float
    model_name: str
    model_hash: str
    place: str = 'the threshold'
    contract: str | None = None

    def require_model(self, name: str, fingerprint: str, contract: str | None = None) -> None:
        """Raises ValueError unless it belongs to this model, used in this way (:attr:`InferenceContract.digest`)."""
        if fingerprint != self.model_hash:
            raise ValueError(
                f'{self.place} was calibrated with {self.model_name} ({self.model_hash}), but the model is {name} '
                f'({fingerprint}); scores of two models differ, as do those with and without flip_test: calibrate '
                'again with tools/analysis_tools/calibrate_threshold.py'
            )
        if self.contract is not None and contract is not None and contract != self.contract:
            raise ValueError(
                f'{self.place} was calibrated with {self.model_name}, whose images were prepared or features compared '
                'in another way (preprocessing, matcher or model of the config differ); use the same config, or '
                'calibrate again with tools/analysis_tools/calibrate_threshold.py'
            )

    def decide(self, score: float) -> Comparison:
        """Decides about a score."""
        return Comparison(score, score >= self.value)


def read_threshold(path: str | os.PathLike) -> Threshold:
    """Reads the file of ``tools/analysis_tools/calibrate_threshold.py``, which may come from anybody.

    Args:
        path (str | os.PathLike): The JSON file.

    Returns:
        Threshold: The threshold.

    Raises:
        ValueError: If it is another file, or an entry is not of its kind.
    """
    try:
        content = parse_json(Path(path).read_text(encoding='utf-8'))
        if not isinstance(content, dict) or content.get('format') != FORMAT:
            raise ValueError(f'its format is not {FORMAT!r}')
        value = content.get('threshold')
        if not is_number(value) or not math.isfinite(value):
            raise ValueError(f'threshold={value!r:.60} is not a finite number')
        model = content.get('model')
        name, digits = (_text(model, key) for key in ('name', 'hash'))
        contract = None if model.get('contract') is None else _text(model, 'contract')
    except ValueError as error:  # also of bytes that are no text
        raise ValueError(
            f'{path} is not a threshold ({error}); make it with tools/analysis_tools/calibrate_threshold.py'
        ) from error
    return Threshold(float(value), name, digits, str(path), contract)


def _text(model: Any, key: str) -> str:
    value = model.get(key) if isinstance(model, dict) else None
    if not isinstance(value, str) or not 0 < len(value) <= 300 or not value.isprintable():
        raise ValueError(f'model.{key}={value!r:.60} is not a short text')
    return value
