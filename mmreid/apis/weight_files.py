# Copyright (c) mmreid contributors. All rights reserved.
"""Weights from wherever a user says they are: a file, an address, a published folder, the Hugging Face Hub."""

import os

from mmreid.structures.inference_contract import META_KEY
from mmreid.utils.checkpoint import load_checkpoint_file

from .hub import PREFIX, fetch_folder
from .published_folder import contract_of_folder, weights_of_folder
from .safetensors_file import read_safetensors


def local_copy(place: str | os.PathLike) -> str:
    """Gives the folder that ``hf://owner/name`` was fetched to; any other place as it is."""
    place = os.fspath(place)
    return str(fetch_folder(place)) if place.startswith(PREFIX) else place


def open_weights(place: str | os.PathLike) -> tuple[dict, str]:
    """Loads a checkpoint; also gives the file, for messages. That of a folder says how the model is used."""
    place = local_copy(place)
    if os.path.isdir(place):
        contract = contract_of_folder(place)
        checkpoint, file = open_weights(weights_of_folder(place))
        return dict(state_dict=checkpoint.get('state_dict', checkpoint), meta={META_KEY: contract.to_json()}), file
    if place.endswith('.safetensors'):
        return dict(state_dict=read_safetensors(place)), place
    return load_checkpoint_file(place), place
