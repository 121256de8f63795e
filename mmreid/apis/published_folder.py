# Copyright (c) mmreid contributors. All rights reserved.
"""A published folder: one file of weights, ``inference.json``, and ``README.md``, its model card.

Anybody may have made it. ``inference.json`` is the contract of the model and, under ``weights``, the name and the
SHA-256 of the weights; the hash finds damage and mix-ups, it does not prove who made the folder.
"""

import json
import os
import re
from pathlib import Path

from mmreid.structures import InferenceContract
from mmreid.utils.file_hash import sha256_of
from mmreid.utils.json_text import parse_json

CONTRACT_FILE = 'inference.json'
CARD_FILE = 'README.md'
SAFETENSORS_FILE = 'model.safetensors'
PTH_FILES = 'model-*.pth'
#: Entry of ``inference.json`` that is not part of the contract.
WEIGHTS_KEY = 'weights'
_WEIGHTS_FILE = re.compile(r'[\w-][\w.-]{0,199}\.(pth|safetensors)')
_SHA256 = re.compile(r'[0-9a-f]{64}')


def contract_text(contract: InferenceContract, file: str, sha256: str) -> str:
    """Writes ``inference.json``."""
    return json.dumps(dict(json.loads(contract.to_json()), **{WEIGHTS_KEY: dict(file=file, sha256=sha256)}), indent=2)


def contract_of_folder(folder: str | os.PathLike) -> InferenceContract:
    """Reads the contract of a folder; its two configs are not looked into.

    Raises:
        FileNotFoundError: If it is not a published folder.
        ValueError: If a file in it is not what its name says.
    """
    text = _read(Path(folder))
    return InferenceContract.from_json(text, str(Path(folder) / CONTRACT_FILE), beside=(WEIGHTS_KEY,))


def weights_of_folder(folder: str | os.PathLike) -> Path:
    """Finds the one file of weights of a folder, and compares it with its hash if ``inference.json`` has one.

    Raises:
        FileNotFoundError: If it is not a published folder, or the file is missing.
        ValueError: If there are several files, or the file is another one than ``inference.json`` says.
    """
    folder = Path(folder)
    record = _record_in(_read(folder), folder)
    files = sorted(path for kind in ('*.pth', '*.safetensors') for path in folder.glob(kind) if path.is_file())
    if len(files) != 1:
        names = f' ({", ".join(path.name for path in files[:4])})' if files else ''
        raise ValueError(f'{folder} holds {len(files)} files of weights{names}, not 1; give the one to load as weights')
    if record is None:
        return files[0]
    name, wanted = record
    if name != files[0].name:
        raise FileNotFoundError(f'{folder} lacks {name}, and has {files[0].name} instead; fetch the folder again')
    found = sha256_of(files[0])
    if found != wanted:
        raise ValueError(
            f'{files[0]} has the SHA-256 {found}, but {CONTRACT_FILE} says {wanted}: it was changed or damaged; '
            'fetch the folder again'
        )
    return files[0]


def _read(folder: Path) -> str:
    path = folder / CONTRACT_FILE
    if not path.is_file():
        raise FileNotFoundError(f'{folder} is not a published model: it has no {CONTRACT_FILE}; name a config file')
    for file in (path, folder / CARD_FILE):
        if file.is_file() and _is_web_page(file):
            raise ValueError(f'{file} is a web page, as a failed download leaves it; fetch the folder again')
    return path.read_text(encoding='utf-8', errors='replace')


def _is_web_page(path: Path) -> bool:
    with open(path, 'rb') as file:
        return file.read(512).lstrip(b'\xef\xbb\xbf \t\r\n').startswith(b'<')


def _record_in(text: str, folder: Path) -> tuple[str, str] | None:
    """Gives name and hash of the weights, or None where ``inference.json`` has no entry about them."""
    try:
        content = parse_json(text)
    except ValueError as error:
        raise ValueError(f'{folder / CONTRACT_FILE} is not JSON ({error}); fetch the folder again') from error
    if not isinstance(content, dict) or WEIGHTS_KEY not in content:
        return None
    record = content[WEIGHTS_KEY]
    patterns = dict(file=_WEIGHTS_FILE, sha256=_SHA256)
    known = isinstance(record, dict) and set(record) == set(patterns)
    if not known or not all(isinstance(record[key], str) and patterns[key].fullmatch(record[key]) for key in patterns):
        raise ValueError(
            f'{folder / CONTRACT_FILE} names the weights {record!r:.200}, which is not a file of its folder with a '
            'SHA-256; publish the model again'
        )
    return record['file'], record['sha256']
