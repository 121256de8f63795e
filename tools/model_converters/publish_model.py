# Copyright (c) mmreid contributors. All rights reserved.
"""Makes a checkpoint to publish: ``publish_model.py TRAINED PUBLISHED``."""

import argparse
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import torch

import mmreid  # noqa: F401  lets checkpoints load
from mmreid.structures.inference_contract import META_KEY
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.checkpoint import load_checkpoint_file, require_weights
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.published import published_weights


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description='Leave out optimizer, schedules, logs and what only training needs, such as an exemplar memory.'
    )
    parser.add_argument('src', type=Path, help='checkpoint of a training')
    parser.add_argument(
        'dst', type=Path, help='file to write, *.pth; the first 8 digits of its hash are added to its name'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the weights and prints what was left out."""
    args = parse_args(argv)
    if args.dst.suffix != '.pth':
        raise ValueError(f'{args.dst} must end with .pth')
    if not args.dst.parent.is_dir():
        raise FileNotFoundError(f'the folder {args.dst.parent} does not exist; make it first')
    checkpoint = load_checkpoint_file(args.src)
    state = require_weights(checkpoint.get('state_dict', checkpoint), str(args.src))
    weights = published_weights(state)
    kinds = {'cfg': str, 'epoch': int, 'mmreid_version': str, META_KEY: str}
    found = checkpoint.get('meta') or {}
    meta = {key: found[key] for key, kind in kinds.items() if isinstance(found.get(key), kind)}
    file = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=weights), file)
    digest = hashlib.sha256(file.getvalue()).hexdigest()
    path = args.dst.with_name(f'{args.dst.stem}-{digest[:8]}.pth')
    if path.exists():
        raise FileExistsError(f'{path} exists already, with the same content unless somebody changed it')
    atomic_write(path, file.getvalue())
    dropped = sorted(set(state) - set(weights))
    print(f'wrote {path}: {len(weights)} entries; left out: {", ".join(dropped) or "none"}')


if __name__ == '__main__':
    with one_line_errors():
        main()
