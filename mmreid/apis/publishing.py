# Copyright (c) mmreid contributors. All rights reserved.
"""Makes a published folder from a checkpoint and its config."""

import hashlib
import io
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from mmreid.models import BaseReID
from mmreid.structures import InferenceContract
from mmreid.structures.inference_contract import META_KEY
from mmreid.utils.atomic_folder import atomic_folder
from mmreid.utils.checkpoint import load_checkpoint_file
from mmreid.utils.config import load_config
from mmreid.utils.json_text import is_number, parse_json
from mmreid.utils.published import published_weights
from mmreid.version import __version__

from .inferencer import ReIDInferencer
from .model_building import contract_of_model, get_model
from .model_card import CardFacts, model_card
from .model_list import find_model, listed_as
from .published_folder import CARD_FILE, CONTRACT_FILE, PTH_FILES, SAFETENSORS_FILE, contract_text
from .safetensors_file import safetensors_bytes

FORMATS = ('pth', 'safetensors')
_LICENSE = re.compile(r'[a-z][a-z0-9.-]{0,39}')


def publish_folder(
    checkpoint: str | os.PathLike,
    folder: str | os.PathLike,
    config: str | os.PathLike,
    file_format: str = 'safetensors',
    *,
    license_id: str = 'other',
    half: bool = False,
    results: Sequence[str | os.PathLike] = (),
) -> dict[str, Any]:
    """Writes a folder that :class:`ReIDInferencer` loads: weights, ``inference.json`` and a model card.

    The folder is complete or absent, and is loaded once before it gets its name. It holds neither the classifier nor
    anything else that only training needs.

    Args:
        checkpoint (str | PathLike): The checkpoint of a training.
        folder (str | PathLike): The folder to make.
        config (str | PathLike): The config of the training, a file or a name of :func:`list_models`; it is run as code.
        file_format (str): ``'safetensors'`` or ``'pth'``. Defaults to ``'safetensors'``.
        license_id (str): License of the weights as the Hugging Face Hub names it, such as ``'apache-2.0'``. Defaults to
            ``'other'``: not stated.
        half (bool): Store the weights as float16. Defaults to False.
        results (Sequence[str | PathLike]): What ``tools/test.py --out`` wrote for this checkpoint. Defaults to ().

    Returns:
        dict[str, Any]: ``file`` and ``sha256`` of the weights.

    Raises:
        FileExistsError: If there is something of that name already.
        ImportError: If ``safetensors`` is needed and not installed.
        ValueError: If the checkpoint does not belong to the config, or something is not possible.
    """
    folder = Path(folder)
    if file_format not in FORMATS:
        raise ValueError(f'format {file_format!r:.60} is unknown; use one of {", ".join(FORMATS)}')
    if not _LICENSE.fullmatch(license_id):
        raise ValueError(f"license {license_id!r:.60} is not an identifier of the Hub, such as 'apache-2.0' or 'other'")
    if os.path.lexists(folder):
        raise FileExistsError(f'{folder} exists; give the name of a new folder')
    measured = {name: value for path in results for name, value in _read_results(path).items()}
    cfg, name = _config(os.fspath(config))
    model = get_model(cfg, checkpoint)
    contract = _contract(checkpoint, model)
    weights = _stored(model, half)
    with atomic_folder(folder) as partial:
        file, sha256 = _write_weights(partial, weights, contract, file_format)
        (partial / CONTRACT_FILE).write_text(contract_text(contract, file, sha256) + '\n', encoding='utf-8')
        facts = CardFacts(
            name=name,
            file=file,
            sha256=sha256,
            dtype='float16' if half else 'float32',
            num_parameters=sum(value.numel() for key, value in model.named_parameters() if key in weights),
            shape=_shape_of_output(partial, contract),
            data=training_data(cfg.get('train_dataloader')),
            license_id=license_id,
            listed=listed_as(name),
            measured=measured,
        )
        (partial / CARD_FILE).write_text(model_card(contract, facts), encoding='utf-8')
    return dict(file=file, sha256=sha256)


def training_data(loader: Any) -> list[str]:
    """Names the data sets of a dataloader's config, however they are wrapped; no paths."""
    if isinstance(loader, (list, tuple)):
        return list(dict.fromkeys(name for part in loader for name in training_data(part)))
    if not isinstance(loader, Mapping):
        return []
    inner = [loader[key] for key in ('dataset', 'datasets') if loader.get(key)]
    if inner:
        return training_data(inner)
    kind = loader['type'] if isinstance(loader['type'], str) else loader['type'].__name__
    kind = kind.rpartition('.')[2]
    given = loader.get('name')
    return [f'{given} (in the layout of {kind})' if given and given.lower() != kind.lower() else kind]


def _config(config: str) -> tuple[Config, str]:
    path = config if os.path.isfile(config) else str(find_model(config).config)
    return load_config(path, required=['model', 'train_dataloader']), Path(path).stem


def _contract(checkpoint: str | os.PathLike, model: BaseReID) -> InferenceContract:
    """Takes what training wrote about the model; where it wrote nothing, what the config says."""
    text = (load_checkpoint_file(checkpoint, mmap=True).get('meta') or {}).get(META_KEY)
    return InferenceContract.from_json(text, str(checkpoint)) if isinstance(text, str) else contract_of_model(model)


def _stored(model: BaseReID, half: bool) -> dict[str, torch.Tensor]:
    """Gives the weights that using a model needs; a published model has no head."""
    weights = {k: value for k, value in published_weights(model.state_dict()).items() if not k.startswith('head.')}
    if not half:
        return weights
    stored = {key: value.half() if value.is_floating_point() else value for key, value in weights.items()}
    for key, value in stored.items():
        if not value.isfinite().all():
            raise ValueError(
                f'{key} reaches {weights[key].abs().max():.3g}, too large for float16; publish without half'
            )
    return stored


def _write_weights(
    folder: Path, weights: dict[str, torch.Tensor], contract: InferenceContract, file_format: str
) -> tuple[str, str]:
    if file_format == 'safetensors':
        content = safetensors_bytes(weights, folder)
    else:
        file = io.BytesIO()
        torch.save(dict(meta={META_KEY: contract.to_json(), 'mmreid_version': __version__}, state_dict=weights), file)
        content = file.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    name = SAFETENSORS_FILE if file_format == 'safetensors' else PTH_FILES.replace('*', digest[:8])
    (folder / name).write_bytes(content)
    return name, digest


def _shape_of_output(folder: Path, contract: InferenceContract) -> tuple[int, ...]:
    """Loads the folder as its users will, and gives the shape of what an image becomes."""
    image = np.zeros((*contract.preprocessing.size, 3), np.uint8)
    modality = contract.modalities[0] if contract.modalities else None
    inferencer = ReIDInferencer(folder, device='cpu')
    return inferencer.extract(image, channel_order='bgr', modality=modality, progress=False).shape[1:]


def _read_results(path: str | os.PathLike) -> dict[str, float]:
    try:
        content = parse_json(Path(path).read_text(encoding='utf-8', errors='replace'))
    except ValueError as error:
        raise ValueError(f'{path} is not JSON ({error}); give a file of tools/test.py --out') from error
    items = content.items() if isinstance(content, dict) else ()
    numbers = {
        key: float(value)
        for key, value in items
        if is_number(value) and math.isfinite(value) and not key.rpartition('/')[2].startswith('num_')  # sizes
    }
    if not numbers:
        raise ValueError(f'{path} holds no named numbers; give a file of tools/test.py --out')
    return numbers
