# Copyright (c) mmreid contributors. All rights reserved.
"""Pretrained weights from files and from the network: plain data only, fetched once, by one process of a machine.

MMEngine loads what ``init_cfg`` names with torch's full unpickler, which runs whatever code a file holds, or with
torch's default, which an environment variable turns into that. :func:`use_safe_loaders` replaces all of MMEngine's
loaders with those below, each of which ends in :func:`mmreid.utils.checkpoint.load_checkpoint_file`.
"""

import difflib
import hashlib
import os.path as osp
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_local_rank, is_distributed
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import (
    _get_mmengine_home,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)

from mmreid.utils.checkpoint import CheckpointError, load_checkpoint_file
from mmreid.utils.torchvision_names import to_mmpretrain


def load_from_local(path: str, map_location: Any = None) -> dict:
    """Loads a file, or the content of an address such as ``s3://...``."""
    return load_checkpoint_file(osp.expanduser(path), map_location=map_location or 'cpu')


def load_from_url(url: str, map_location: Any = None, model_dir: str | None = None, **_: Any) -> dict:
    """Loads a checkpoint from the network, or from torch's cache (``$TORCH_HOME/hub/checkpoints``, or ``model_dir``).

    Raises a URLError if there is neither a network nor a cached file.
    """
    file = _cached(url, model_dir)
    # The first rank of each machine downloads; the others find its file.
    if not file.exists() and get_local_rank() == 0:
        file.parent.mkdir(parents=True, exist_ok=True)
        print_log(f'downloading {url} to {file}', logger='current')
        torch.hub.download_url_to_file(url, str(file))
        if not _OF_CONTENT.search(file.stem):
            _source(file).write_text(url, encoding='utf-8')
    if is_distributed():
        barrier()
    return load_from_local(str(file), map_location)


#: A name that says what a file holds, as torch's and OpenMMLab's do.
_OF_CONTENT = re.compile(r'[-_][0-9a-f]{8,}$')


def _source(file: Path) -> Path:
    """Returns the file that notes the address of a downloaded one."""
    return file.with_name(f'{file.name}.url')


def _cached(url: str, model_dir: str | None) -> Path:
    """Returns where the file of an address is kept: under its name, unless another address has that name."""
    name = PurePosixPath(urlparse(url).path).name
    if name in ('', '..'):
        raise CheckpointError(f'{url} names no file; give the address of a checkpoint')
    file = Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints') / name
    if file.exists() and _source(file).exists() and _source(file).read_text(encoding='utf-8') != url:
        return file.with_name(f'{file.stem}-{hashlib.sha256(url.encode()).hexdigest()[:8]}{file.suffix}')
    return file


def load_from_torchvision(name: str, map_location: Any = None, **_: Any) -> dict:
    """Loads ``torchvision://<name>`` or ``modelzoo://<name>``, renamed for MMPretrain's backbones."""
    model = name.split('://', 1)[1]
    url = _look_up(model, get_torchvision_models(), 'torchvision', ['resnet50', 'swin_t.imagenet1k_v1'])
    return to_mmpretrain(model, load_from_url(url, map_location=map_location))


def load_from_openmmlab(name: str, map_location: Any = None) -> dict:
    """Loads ``open-mmlab://<name>`` or ``openmmlab://<name>`` of MMEngine's table."""
    model = name.split('://', 1)[1]
    model = get_deprecated_model_names().get(model, model)
    url = _look_up(model, get_external_models(), 'OpenMMLab', ['detectron2/resnet50_caffe'])
    if not url.startswith(('http://', 'https://')):
        return load_from_local(osp.join(_get_mmengine_home(), url), map_location)
    return load_from_url(url, map_location=map_location)


def load_from_mmcls(name: str, map_location: Any = None) -> dict:
    """Loads the backbone of ``mmcls://<name>`` of MMClassification's table."""
    url = _look_up(name.split('://', 1)[1], get_mmcls_models(), 'MMClassification', ['resnet50'])
    checkpoint = load_from_url(url, map_location=map_location)
    state = checkpoint.get('state_dict', checkpoint)
    start = 'backbone.'
    return dict(state_dict={key.removeprefix(start): value for key, value in state.items() if key.startswith(start)})


def load_from_pavi(name: str, map_location: Any = None) -> dict:
    """Refuses ``pavi://...``, whose files cannot be checked before they are loaded."""
    raise CheckpointError(f'{name} is refused: files of pavi:// cannot be checked before loading; copy it to a disk')


def _look_up(model: str, urls: Mapping[str, str], where: str, examples: list[str]) -> str:
    if model not in urls:
        near = difflib.get_close_matches(model, urls, 3, 0.5) or examples
        raise KeyError(f"{where} has no weights '{model}'; it has e.g. {', '.join(near)}")
    print_log(f'pretrained weights: {urls[model]}', logger='current')
    return urls[model]


def pretrained_of(cfg: Any) -> list[str]:
    """Lists the checkpoints of every ``init_cfg`` of type Pretrained inside a model config.

    Args:
        cfg (Any): The config of a model, or any part of it.

    Returns:
        list[str]: Files and addresses.
    """
    found = []
    if isinstance(cfg, dict):
        init = cfg.get('init_cfg')
        for entry in init if isinstance(init, list) else [init]:
            if isinstance(entry, dict) and entry.get('type') == 'Pretrained':
                found.append(str(entry.get('checkpoint')))
        for value in cfg.values():
            found += pretrained_of(value)
    elif isinstance(cfg, (list, tuple)):
        for value in cfg:
            found += pretrained_of(value)
    return found


def use_safe_loaders() -> None:
    """Puts the loaders of this file in place of all of MMEngine's; a second call changes nothing.

    Called by :class:`~mmreid.engine.ReIDRunner`, by every model of mmreid when it is built, and by
    :func:`mmreid.utils.register_all_modules`.
    """
    loaders = {
        load_from_local: ('', r'(\S+\:)?s3://', r'(\S+\:)?petrel://'),
        load_from_url: ('http://', 'https://'),
        load_from_torchvision: ('torchvision://', 'modelzoo://'),
        load_from_openmmlab: ('open-mmlab://', 'openmmlab://'),
        load_from_mmcls: ('mmcls://',),
        load_from_pavi: ('pavi://',),
    }
    for loader, prefixes in loaders.items():
        CheckpointLoader.register_scheme(prefixes=prefixes, loader=loader, force=True)
