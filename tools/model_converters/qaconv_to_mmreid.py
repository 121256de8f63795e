# Copyright (c) mmreid contributors. All rights reserved.
"""Converts checkpoints of the official QAConv code (version 2), and back: ``qaconv_to_mmreid.py THEIRS OURS``."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from terminaltables import AsciiTable

import mmreid  # noqa: F401  registers the models
from mmreid.converters.qaconv import model_config, to_mmreid, to_official
from mmreid.converters.weight_conversion import converting, require_fit
from mmreid.utils.atomic_io import atomic_write, ensure_new
from mmreid.utils.checkpoint import load_checkpoint_file
from mmreid.utils.one_line_errors import one_line_errors

State = Mapping[str, torch.Tensor]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description='Convert a QAConv checkpoint. The layers after the feature map, which nothing uses, are kept in '
        "OURS under the entry 'unused'."
    )
    parser.add_argument('src', type=Path, help='checkpoint to read')
    parser.add_argument('dst', type=Path, help='checkpoint to write')
    parser.add_argument('--size', type=int, nargs=2, metavar=('H', 'W'), help='of the maps; default: H = 3 W')
    parser.add_argument('--to-official', action='store_true', help='convert an mmreid checkpoint for the official code')
    parser.add_argument('--force', action='store_true', help='replace a file that exists')
    return parser.parse_args(argv)


def table(before: State, after: State) -> str:
    """Counts the entries of both state dicts, part by part."""
    parts = dict(backbone=('base.', 'backbone.'), neck=('neck',), matcher=('matcher.',))
    names = [[key.removeprefix('module.') for key in state] for state in (before, after)]
    rows = [[part, *(sum(key.startswith(start) for key in keys) for keys in names)] for part, start in parts.items()]
    return AsciiTable([['entries', 'read', 'written'], *rows, ['all', len(before), len(after)]]).table


def from_official(args: argparse.Namespace) -> tuple[State, State]:
    """Converts to mmreid."""
    checkpoint = load_checkpoint_file(args.src)
    missing = [entry for entry in ('model', 'criterion') if entry not in checkpoint]
    if missing:
        raise ValueError(
            f'{args.src} is not a checkpoint of the official QAConv code: it has no entry {missing[0]!r}, only '
            f'{", ".join(list(checkpoint)[:5])}'
        )
    converted, unused = to_mmreid(checkpoint['model'], checkpoint['criterion'])
    config = model_config(converted, args.size)
    require_fit(config, converted, args.src)
    meta = dict(source='QAConv', model=config)
    atomic_write(args.dst, lambda file: torch.save(dict(meta=meta, state_dict=converted, unused=unused), file))
    return dict(checkpoint['model'], **checkpoint['criterion']), converted


def from_mmreid(args: argparse.Namespace) -> tuple[State, State]:
    """Converts to the official code."""
    checkpoint = load_checkpoint_file(args.src)
    state = checkpoint.get('state_dict', checkpoint)
    model, criterion = to_official(state, checkpoint.get('unused'))
    entries = dict(model=model, criterion=criterion, epoch=0)
    atomic_write(args.dst, lambda file: torch.save(entries, file))
    return state, dict(model, **criterion)


def main(argv: Sequence[str] | None = None) -> None:
    """Converts, and prints what happened to the entries."""
    args = parse_args(argv)
    ensure_new([args.dst], args.force)
    with converting(args.src):
        before, after = from_mmreid(args) if args.to_official else from_official(args)
    print(table(before, after))
    print(f'wrote {args.dst}')


if __name__ == '__main__':
    with one_line_errors():
        main()
