# Copyright (c) mmreid contributors. All rights reserved.
"""Published folders on the Hugging Face Hub: downloaded only where an address ``hf://...`` asks for it."""

import re
from pathlib import Path

from mmengine.logging import print_log

from .published_folder import CARD_FILE, CONTRACT_FILE, PTH_FILES, SAFETENSORS_FILE

PREFIX = 'hf://'
_NAME = r'[A-Za-z0-9][\w.-]{0,95}'
_ADDRESS = re.compile(rf'{PREFIX}({_NAME}/{_NAME})(?:@({_NAME}))?')


def fetch_folder(address: str) -> Path:
    """Downloads ``hf://owner/name`` or ``hf://owner/name@revision`` into the cache of ``huggingface_hub``.

    Raises:
        ImportError: If ``huggingface_hub`` is not installed.
        ValueError: If it is no such address.
        ConnectionError: If it cannot be downloaded.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ValueError(
            f'{address!r:.200} is not an address of the Hub; write hf://owner/name or hf://owner/name@revision'
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ImportError(f'{address} needs the package huggingface_hub; run: pip install "mmreid[hub]"') from error
    print_log(f'fetching {address} from the Hugging Face Hub, or from its cache', 'current')
    names = [CONTRACT_FILE, CARD_FILE, SAFETENSORS_FILE, PTH_FILES]
    try:
        return Path(snapshot_download(found[1], revision=found[2], allow_patterns=names))
    except (OSError, ValueError) as error:  # the kinds that its errors are of
        cause = ' '.join(str(error).split())[:300]
        raise ConnectionError(f'{address} cannot be fetched ({cause}); check the name and the connection') from error
