# Copyright (c) mmreid contributors. All rights reserved.
"""What a trained model needs to be used: how images are prepared, what comes out, how that is compared. Plain JSON."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields

from mmreid.utils.json_text import is_number, parse_json

#: Where a checkpoint keeps the JSON text: ``checkpoint['meta'][META_KEY]``.
META_KEY = 'inference'
FORMAT = 1
MAX_INPUT = 2**20  # pixels of what the network gets; re-ID uses 32,768
CHOICES = dict(
    resize_backend=('cv2', 'pillow'),
    channel_order=('rgb', 'bgr'),
    embedding=('vector', 'map'),
)
INTERPOLATIONS = dict(
    cv2=('nearest', 'bilinear', 'bicubic', 'area', 'lanczos'),
    pillow=('nearest', 'bilinear', 'bicubic', 'box', 'lanczos', 'hamming'),
)


@dataclass(frozen=True)
class Preprocessing:
    """From a decoded image to the input of a network.

    Args:
        size (tuple[int, int]): Height and width that an image is resized to, in pixels; its aspect ratio is not kept.
        interpolation (str): As MMCV calls it, e.g. ``'bilinear'``.
        resize_backend (str): What resizes, ``'cv2'`` or ``'pillow'``; the two give different pixels.
        channel_order (str): Order of the channels that the network gets, ``'rgb'`` or ``'bgr'``.
        mean (tuple[float, float, float]): Subtracted from the channels, in that order, on the scale from 0 to 255.
        std (tuple[float, float, float]): What the channels are divided by afterwards.

    Raises:
        ValueError: If a value is not possible.
    """

    size: tuple[int, int]
    interpolation: str
    resize_backend: str
    channel_order: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        _check_choices(self)
        _check_numbers('size', self.size, 2)
        if self.interpolation not in (known := INTERPOLATIONS[self.resize_backend]):
            raise ValueError(f'interpolation={self.interpolation!r:.60} is none of {", ".join(known)}')
        if not all(type(side) is int and side >= 1 for side in self.size) or math.prod(self.size) > MAX_INPUT:
            raise ValueError(f'size={self.size} must be a height and a width of at most {MAX_INPUT} pixels together')
        for name in ('mean', 'std'):
            _check_numbers(name, getattr(self, name), 3)
        if not all(value > 0 for value in self.std):
            raise ValueError(f'std={self.std} must be above 0')


@dataclass(frozen=True)
class InferenceContract:
    """Everything that using a model needs beside its weights.

    Args:
        preprocessing (Preprocessing): How images are prepared.
        embedding (str): What an image becomes: a ``'vector'`` (D,) or a ``'map'`` (C, H, W).
        normalized (bool): Whether the model itself L2-normalizes that; a map at each of its locations.
        flip_test (bool): Whether the feature of the mirrored image is added.
        modalities (tuple[str, ...]): Modalities of which each image must state one; empty if there is nothing to state.
        matcher (dict): Config of what compares two features.
        model (dict): Config of the network, without losses, initial weights and preprocessing.
    """

    preprocessing: Preprocessing
    embedding: str
    normalized: bool
    flip_test: bool
    modalities: tuple[str, ...]
    matcher: dict
    model: dict

    def __post_init__(self) -> None:
        _check_choices(self)
        for name, kind in dict(normalized=bool, flip_test=bool, matcher=dict, model=dict).items():
            if type(getattr(self, name)) is not kind:
                raise ValueError(f'{name} must be a {kind.__name__}, but is {getattr(self, name)!r:.60}')
        if self.modalities not in ((), ('visible', 'infrared')):
            raise ValueError(f"modalities must be [] or ['visible', 'infrared'], but are {self.modalities!r:.60}")

    @property
    def scoring(self) -> dict[str, str]:
        """dict[str, str]: What, beside weights and ``flip_test``, decides the score of two images, as JSON texts."""
        content = asdict(self)
        return {name: json.dumps(content[name], sort_keys=True) for name in ('preprocessing', 'matcher', 'model')}

    @property
    def digest(self) -> str:
        """str: 16 hexadecimal digits, the same for contracts of equal :attr:`scoring`."""
        return hashlib.sha256(json.dumps(self.scoring, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Writes the contract as JSON.

        Returns:
            str: An object with ``format`` and the fields of the contract.
        """
        return json.dumps(dict(format=FORMAT, **asdict(self)), allow_nan=False)

    @classmethod
    def from_json(cls, text: str, place: str, beside: tuple[str, ...] = ()) -> 'InferenceContract':
        """Reads a contract that may come from anybody; its two configs are not looked into.

        Args:
            text (str): The JSON text.
            place (str): The file, for messages.
            beside (tuple[str, ...]): Entries that are not part of the contract and are skipped. Defaults to ().

        Returns:
            InferenceContract: The contract.

        Raises:
            ValueError: If it is not a contract, naming ``place`` and what is wrong.
        """
        try:
            content = _object(parse_json(text), 'it')
            content = {name: value for name, value in content.items() if name not in beside}
            number = content.pop('format', None)
            if type(number) is not int or number != FORMAT:
                raise ValueError(f'its format is {number!r:.60}, not {FORMAT}')
            _check_keys(cls, content, 'it')
            steps = _object(content['preprocessing'], 'preprocessing')
            _check_keys(Preprocessing, steps, 'preprocessing')
            content['preprocessing'] = Preprocessing(**{name: _tuple(value) for name, value in steps.items()})
            return cls(**dict(content, modalities=_tuple(content['modalities'])))
        except ValueError as error:
            raise ValueError(
                f'{place} does not describe a model ({error}); give the config that it was trained with'
            ) from error


def _object(value: object, place: str) -> dict:
    if not isinstance(value, dict):
        raise ValueError(f'{place} is not an object but {value!r:.60}')
    return value


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _check_keys(kind: type, content: dict, place: str) -> None:
    wrong = {field.name for field in fields(kind)} ^ set(content)
    if wrong:
        raise ValueError(f'{place} lacks or should not have {min(wrong)!r:.60}')


def _check_choices(value: object) -> None:
    for field in fields(value):
        given = getattr(value, field.name)
        if field.name in CHOICES and given not in CHOICES[field.name]:
            raise ValueError(f'{field.name}={given!r:.60} is none of {", ".join(CHOICES[field.name])}')


def _check_numbers(name: str, values: object, count: int) -> None:
    is_list = isinstance(values, tuple) and len(values) == count
    if not is_list or not all(is_number(value) and math.isfinite(value) for value in values):
        raise ValueError(f'{name}={values!r:.60} must be {count} numbers')
