# Copyright (c) mmreid contributors. All rights reserved.
"""Models from a name, a config, a checkpoint or a folder, filled and ready to use."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger, print_log
from mmengine.registry import DefaultScope

from mmreid.models import BaseReID
from mmreid.models.reid.inference_contract import contract_of, modalities_of
from mmreid.models.reid.pairwise import PairwiseReID
from mmreid.registry import MODELS
from mmreid.structures import InferenceContract
from mmreid.structures.inference_contract import META_KEY
from mmreid.utils.checkpoint import load_checkpoint_file, require_weights
from mmreid.utils.config import load_config
from mmreid.utils.load_report import load_weights

from .hub import PREFIX
from .model_list import find_model
from .plain_config import build_described
from .published_folder import contract_of_folder
from .weight_files import local_copy, open_weights

#: What ``weights`` says where the initial weights are wanted, as in ``tools/test.py CONFIG none``.
INITIAL = 'none'


def get_model(
    model: str | os.PathLike | Config | None,
    pretrained: bool | str | os.PathLike = False,
    device: str | torch.device | None = None,
    **kwargs,
) -> BaseReID:
    """Builds a model.

    Args:
        model (str | PathLike | Config): A config file or a config; a name of :func:`list_models`, with ``mmreid::`` in
            front or without; a checkpoint ``*.pth`` or a published folder, which are never run as code; None for
            what the weights describe.
        pretrained (bool | str | PathLike): The weights: a file, an address, a published folder, or
            ``'hf://owner/name'`` or ``'hf://owner/name@revision'`` for one on the Hugging Face Hub; True for those that
            come with the model, or False for none. Defaults to False; a checkpoint or a folder is always filled.
        device (str | torch.device, optional): Device to put the model on. Defaults to None, the CPU.
        **kwargs: Entries that are merged into the model's config, where ``model`` is a config or a name.

    Returns:
        BaseReID: The model in eval mode.

    Raises:
        FileNotFoundError: If a file is missing.
        ImportError: If a package is missing that only such weights need.
        ValueError: If there is no such model, or the weights belong to another model, hold NaN, or are not those that
            their folder names.
    """
    if model is None:
        if isinstance(pretrained, bool) or os.fspath(pretrained) == INITIAL:
            raise ValueError('give a model, or weights that describe one: both are missing')
        model, pretrained = local_copy(pretrained), True
    if isinstance(model, BaseReID):
        raise TypeError('get_model builds a model, but was given one; use it as it is')
    if not isinstance(model, (str, os.PathLike, Config)):
        raise TypeError(f'model is a {type(model).__name__}, {model!r:.60}; give a config, a path or a name')
    kind = None if isinstance(model, Config) else _kind_of(os.fspath(model))
    if kind in ('checkpoint', 'folder'):
        if kwargs:
            raise ValueError(f'{model} is built as it describes itself, so {", ".join(kwargs)} cannot be changed')
        built = _from_file(Path(model), None if isinstance(pretrained, bool) else pretrained)
    else:
        built = _from_config(model, kind, pretrained, kwargs)
    return built.to(device or 'cpu').eval()


def init_model(
    config: str | os.PathLike | Config,
    checkpoint: str | os.PathLike | None = None,
    device: str | torch.device | None = None,
    **kwargs,
) -> BaseReID:
    """Builds a model, in the order of arguments that other OpenMMLab projects have; see :func:`get_model`.

    Args:
        config (str | PathLike | Config): The model.
        checkpoint (str | PathLike, optional): The weights. Defaults to None.
        device (str | torch.device, optional): Device to put the model on. Defaults to None, the CPU.
        **kwargs: See :func:`get_model`.

    Returns:
        BaseReID: The model in eval mode.
    """
    return get_model(config, checkpoint or False, device, **kwargs)


def contract_of_model(model: BaseReID) -> InferenceContract:
    """Returns how to use a model of :func:`get_model`: what its file says, or else its config.

    Raises:
        ValueError: If neither says it.
    """
    known = vars(model)
    if '_contract' in known:
        told = known['_contract']
        # The sum of two features has another norm than each.
        same = told.embedding == 'map' or model.flip_test == told.flip_test
        return replace(told, flip_test=model.flip_test, normalized=told.normalized and same)
    if '_config' not in known:
        raise ValueError(
            f'this {type(model).__name__} does not say how its images are prepared; build it with mmreid.apis.get_model'
        )
    return contract_of(known['_config'], model)


def _kind_of(model: str) -> str:
    if model.startswith(PREFIX):
        raise ValueError(f'{model} is downloaded only as weights: leave model out and give weights={model!r}')
    if model.startswith('mmreid::'):
        return 'name'
    if os.path.isdir(model):
        return 'folder'
    if model.endswith('.pth'):
        return 'checkpoint'
    return 'config' if model.endswith(('.py', '.json', '.yml', '.yaml')) else 'name'


def _from_config(
    model: str | os.PathLike | Config, kind: str | None, pretrained: bool | str | os.PathLike, changes: dict
) -> BaseReID:
    weights = None if isinstance(pretrained, bool) else os.fspath(pretrained)
    if kind == 'name':
        listed = find_model(os.fspath(model))
        cfg = load_config(str(listed.config), required=['model'])
        if pretrained is True and listed.weights:
            weights = listed.weights
    else:
        cfg = model.copy() if isinstance(model, Config) else load_config(os.fspath(model), required=['model'])
    if pretrained is True and weights is None:
        raise ValueError(f"{_name(model)} comes without weights; give a file, or '{INITIAL}' for initial weights")
    cfg.merge_from_dict(dict(model=changes))
    cfg.model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
    with DefaultScope.overwrite_default_scope('mmreid'):
        built = MODELS.build(cfg.model)
    built._config = cfg
    if weights == INITIAL:
        with _quiet():
            built.init_weights()
    elif weights is not None:
        checkpoint, file = open_weights(weights)
        _fill(built, checkpoint, file)
        _compare_preprocessing(built, checkpoint, file)
    return built


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps MMEngine from logging the initial value of each layer."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _name(model: str | os.PathLike | Config) -> str:
    return str(model.filename or 'the config') if isinstance(model, Config) else os.fspath(model)


def _from_file(path: Path, weights: str | os.PathLike | None) -> BaseReID:
    """Builds what a checkpoint or a folder describes; both may come from anybody."""
    if weights is not None and os.fspath(weights) == INITIAL:
        raise ValueError(f"weights='{INITIAL}' asks for initial weights, but {path} brings its own; leave weights out")
    contract = contract_of_folder(path) if path.is_dir() else None
    checkpoint, file = open_weights(weights or path)
    if contract is None:
        contract = _contract_of_checkpoint(checkpoint if weights is None else load_checkpoint_file(path), path)
    state = require_weights(checkpoint.get('state_dict', checkpoint), file)
    num_values = sum(value.numel() for value in state.values())
    model = build_described(contract, len(state), num_values, str(path))
    _check_kind(model, contract, path)
    model._contract = contract
    _fill(model, checkpoint, file)
    return model


def _check_kind(model: BaseReID, contract: InferenceContract, path: Path) -> None:
    """Refuses a contract that says other things than the model it describes."""
    embedding = 'map' if isinstance(model, PairwiseReID) else 'vector'
    if (contract.embedding, contract.modalities) != (embedding, modalities_of(model)):
        raise ValueError(
            f'{path} does not describe a model: a {type(model).__name__} gives a {embedding} and knows the modalities '
            f'{modalities_of(model)}, not a {contract.embedding} and {contract.modalities}'
        )


def _contract_of_checkpoint(checkpoint: dict, path: Path) -> InferenceContract:
    text = _contract_in(checkpoint)
    if text is None:
        raise ValueError(f'{path} does not say how its model is built; give its config as model, and it as weights')
    return InferenceContract.from_json(text, str(path))


def _contract_in(checkpoint: dict) -> str | None:
    text = (checkpoint.get('meta') or {}).get(META_KEY)
    return text if isinstance(text, str) else None


def _fill(model: BaseReID, checkpoint: dict, file: str) -> None:
    """Loads weights; all that features and scores are made of must be there and finite."""
    require_weights(checkpoint.get('state_dict', checkpoint), file)
    report = load_weights(model, checkpoint)
    if not report.is_complete:
        raise ValueError(f'{file} belongs to another model: {report}; use the config that it was trained with')
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not value.isfinite().all():
            raise ValueError(f'{file} holds NaN or infinite numbers in {name}: its training failed; use an earlier one')


def _compare_preprocessing(model: BaseReID, checkpoint: dict, file: str) -> None:
    """Warns where a checkpoint was trained on images that were prepared in another way than the config does it."""
    text = _contract_in(checkpoint)
    if text is None:
        return
    try:
        trained = InferenceContract.from_json(text, file).preprocessing
        given = contract_of_model(model).preprocessing
    except ValueError:
        return  # one of them does not say
    if trained != given:
        print_log(
            f'the config prepares images by {given}, but {file} was trained and tested with {trained}',
            'current',
            logging.WARNING,
        )
