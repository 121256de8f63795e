# Copyright (c) mmreid contributors. All rights reserved.
"""Pretrained weights from the network: tensors only, fetched once, by one process of a machine.

MMEngine hands ``http(s)://`` and ``torchvision://`` checkpoints to torch with the full unpickler, which runs whatever
code a file holds. These loaders take their place.
"""

import difflib
from typing import Any

import torch
from mmengine.dist import barrier, get_local_rank, is_distributed
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import get_torchvision_models

from mmreid.utils.torchvision_names import to_mmpretrain


def load_from_url(url: str, map_location: Any = None, model_dir: str | None = None, **_: Any) -> dict:
    """Loads a checkpoint from the network, or from torch's cache where it is there already.

    Args:
        url (str): The address.
        map_location (Any): See :func:`torch.load`. Defaults to None.
        model_dir (str, optional): Cache folder. Defaults to ``$TORCH_HOME/hub/checkpoints``.

    Returns:
        dict: The checkpoint.

    Raises:
        URLError: If there is no network and no cached file.
        pickle.UnpicklingError: If the file holds anything but tensors and plain data.
    """

    def load() -> dict:
        return torch.hub.load_state_dict_from_url(url, model_dir, map_location=map_location, weights_only=True)

    if not is_distributed():
        return load()
    # The first rank of each machine downloads; the others find its file.
    checkpoint = load() if get_local_rank() == 0 else None
    barrier()
    return load() if checkpoint is None else checkpoint


def load_from_torchvision(name: str, map_location: Any = None, **_: Any) -> dict:
    """Loads the weights of a torchvision model, under the names that MMPretrain's backbones have for them.

    Args:
        name (str): ``torchvision://resnet50`` or ``modelzoo://resnet50``.
        map_location (Any): See :func:`torch.load`. Defaults to None.

    Returns:
        dict: The state dict.

    Raises:
        KeyError: If torchvision has no such model.
    """
    urls = get_torchvision_models()
    model = name.split('://', 1)[1]
    if model not in urls:
        near = difflib.get_close_matches(model, urls, 3, 0.5) or ['resnet50', 'swin_t.imagenet1k_v1']
        raise KeyError(f"torchvision has no weights '{model}'; it has e.g. {', '.join(near)}")
    print_log(f'pretrained weights: {urls[model]}', logger='current')
    return to_mmpretrain(model, load_from_url(urls[model], map_location=map_location))


def pretrained_of(cfg: Any) -> list[str]:
    """Lists the checkpoints of all ``init_cfg`` of type Pretrained inside a model config.

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


CheckpointLoader.register_scheme(prefixes=('http://', 'https://'), loader=load_from_url, force=True)
CheckpointLoader.register_scheme(prefixes=('torchvision://', 'modelzoo://'), loader=load_from_torchvision, force=True)
