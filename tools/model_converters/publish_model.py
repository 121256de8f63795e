# Copyright (c) mmreid contributors. All rights reserved.
"""Makes what is published of a training: a file, ``publish_model.py TRAINED PUBLISHED.pth``, or a folder.

publish_model.py TRAINED FOLDER --format safetensors --config CONFIG
"""

import argparse
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import torch

import mmreid  # noqa: F401  lets checkpoints load
from mmreid.apis import publish_folder
from mmreid.structures.inference_contract import META_KEY
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.checkpoint import load_checkpoint_file, require_weights
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.published import published_weights


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line; options that were not given are absent from the result."""
    parser = argparse.ArgumentParser(
        description='Leave out optimizer, schedules, logs and what only training needs, such as an exemplar memory.'
    )
    parser.add_argument('src', type=Path, help='checkpoint of a training')
    parser.add_argument(
        'dst',
        type=Path,
        help='file to write, *.pth; the first 8 digits of its hash are added to its name; with --format a folder',
    )
    parser.add_argument(
        '--format',
        choices=('pth', 'safetensors'),
        help='make a folder that mmreid.apis loads, with inference.json and a model card, and weights of this kind',
    )
    only = parser.add_argument_group('of a folder')
    options = dict(default=argparse.SUPPRESS)
    only.add_argument('--config', **options, help='config of the training; needed with --format')
    only.add_argument('--license', **options, dest='license_id', help='of the weights, such as apache-2.0')
    only.add_argument('--half', **options, action='store_true', help='store weights as float16')
    only.add_argument('--results', **options, nargs='+', type=Path, help='what tools/test.py --out wrote, *.json')
    args = parser.parse_args(argv)
    given = [name for name in ('config', 'license_id', 'half', 'results') if name in args]
    if args.format is None and given:
        parser.error(f'--{given[0].removesuffix("_id")} belongs to a folder: also give --format')
    if args.format is not None and 'config' not in args:
        parser.error('--format also needs --config')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the weights and prints what was left out."""
    args = parse_args(argv)
    if args.format is None:
        publish_file(args.src, args.dst)
        return
    options = {key: value for key, value in vars(args).items() if key not in ('src', 'dst', 'format')}
    written = publish_folder(args.src, args.dst, file_format=args.format, **options)
    print(
        f'wrote {args.dst}: {written["file"]}, SHA-256 {written["sha256"]}; read its README.md before you give it away'
    )


def publish_file(src: Path, dst: Path) -> None:
    """Writes a checkpoint without what only training needs."""
    if dst.suffix != '.pth':
        raise ValueError(f'{dst} must end with .pth')
    if not dst.parent.is_dir():
        raise FileNotFoundError(f'the folder {dst.parent} does not exist; make it first')
    checkpoint = load_checkpoint_file(src)
    state = require_weights(checkpoint.get('state_dict', checkpoint), str(src))
    weights = published_weights(state)
    kinds = {'cfg': str, 'epoch': int, 'mmreid_version': str, META_KEY: str}
    found = checkpoint.get('meta') or {}
    meta = {key: found[key] for key, kind in kinds.items() if isinstance(found.get(key), kind)}
    file = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=weights), file)
    digest = hashlib.sha256(file.getvalue()).hexdigest()
    path = dst.with_name(f'{dst.stem}-{digest[:8]}.pth')
    if path.exists():
        raise FileExistsError(f'{path} exists already, with the same content unless somebody changed it')
    atomic_write(path, file.getvalue())
    dropped = sorted(set(state) - set(weights))
    print(f'wrote {path}: {len(weights)} entries; left out: {", ".join(dropped) or "none"}')


if __name__ == '__main__':
    with one_line_errors():
        main()
