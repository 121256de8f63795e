# Copyright (c) mmreid contributors. All rights reserved.
"""Converts checkpoints of the official ECN code, and back: ``ecn_to_mmreid.py THEIRS OURS``."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from terminaltables import AsciiTable

import mmreid  # noqa: F401  lets checkpoints load
from mmreid.converters.ecn import model_config, to_mmreid, to_official
from mmreid.converters.weight_conversion import converting, require_fit
from mmreid.utils.atomic_io import atomic_write, ensure_new
from mmreid.utils.checkpoint import load_checkpoint_file
from mmreid.utils.one_line_errors import one_line_errors

State = Mapping[str, torch.Tensor]
PARTS = ('backbone.', 'base.', 'neck.', 'feat', 'head.', 'classifier.')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Convert an ECN checkpoint.')
    parser.add_argument('src', type=Path, help='checkpoint to read')
    parser.add_argument('dst', type=Path, help='checkpoint to write')
    parser.add_argument('--no-memory', action='store_true', help='leave the exemplar memory out')
    parser.add_argument('--to-official', action='store_true', help='convert an mmreid checkpoint for the official code')
    parser.add_argument('--force', action='store_true', help='replace a file that exists')
    return parser.parse_args(argv)


def table(before: State, after: State) -> str:
    """Counts the entries of both state dicts, part by part."""
    rows = []
    for part in PARTS:
        counts = [sum(key.removeprefix('module.').startswith(part) for key in state) for state in (before, after)]
        if any(counts):
            rows.append([part.rstrip('.'), *counts])
    return AsciiTable([['entries', 'read', 'written'], *rows, ['all', len(before), len(after)]]).table


def from_official(args: argparse.Namespace) -> tuple[State, State]:
    """Converts to mmreid."""
    checkpoint = load_checkpoint_file(args.src)
    state = checkpoint.get('state_dict', checkpoint)
    converted = to_mmreid(state, None if args.no_memory else checkpoint.get('state_dict_inv'))
    config = model_config(converted)
    require_fit(config, converted, args.src)
    atomic_write(
        args.dst, lambda file: torch.save(dict(meta=dict(source='ECN', model=config), state_dict=converted), file)
    )
    return state, converted


def from_mmreid(args: argparse.Namespace) -> tuple[State, State]:
    """Converts to the official code."""
    checkpoint = load_checkpoint_file(args.src)
    state = checkpoint.get('state_dict', checkpoint)
    converted, memory = to_official(state)
    converted = {f'module.{key}': value for key, value in converted.items()}
    epoch = (checkpoint.get('meta') or {}).get('epoch')
    entries = dict(state_dict=converted, epoch=epoch if isinstance(epoch, int) else 0, best_acc=0.0)
    if memory is not None and not args.no_memory:
        entries['state_dict_inv'] = {f'module.{key}': value for key, value in memory.items()}
    atomic_write(args.dst, lambda file: torch.save(entries, file))
    return state, converted


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
