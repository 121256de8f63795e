# Copyright (c) mmreid contributors. All rights reserved.
"""Converts checkpoints of the official CM-NAS code, and back: ``cmnas_to_mmreid.py THEIRS OURS [--arch FILE]``."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from terminaltables import AsciiTable

import mmreid  # noqa: F401  registers the models
from mmreid.converters.cmnas import arch_of, infer_arch, model_config, official_norms, to_mmreid, to_official
from mmreid.converters.weight_conversion import converting, require_fit
from mmreid.utils.arch_io import Architecture, config_fragment, read_arch, save_arch, switch_line
from mmreid.utils.atomic_io import atomic_write, ensure_new
from mmreid.utils.checkpoint import load_checkpoint_file
from mmreid.utils.one_line_errors import one_line_errors

State = Mapping[str, torch.Tensor]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description='Convert a CM-NAS checkpoint. Also writes DST.arch.json and DST.arch.py (for _base_ of a '
        'config that trains it) next to it; with --to-official, DST.cfg.'
    )
    parser.add_argument('src', type=Path, help='checkpoint to read')
    parser.add_argument('dst', type=Path, help='checkpoint to write')
    parser.add_argument('--arch', type=Path, help='config.cfg or arch.json; default: what the batch counters show')
    parser.add_argument('--entry', choices=['model', 'ema'], default='model', help='which weights of an official file')
    parser.add_argument('--to-official', action='store_true', help='convert an mmreid checkpoint for the official code')
    parser.add_argument('--force', action='store_true', help='replace files that exist')
    return parser.parse_args(argv)


def choose_arch(state: State, path: Path | None) -> dict[str, str]:
    """Reads the architecture from a file or the batch counters, which must not contradict each other."""
    names, inferred = official_norms(state), infer_arch(state)
    if path is None:
        if not names or len(inferred) < len(names):
            raise ValueError(
                f'the batch counters only show the state of {len(inferred)} of {len(names)} norms; give the '
                'architecture that the checkpoint was trained with: --arch config.cfg'
            )
        return inferred
    arch = read_arch(path, names)
    wrong = [name for name, state in inferred.items() if arch.get(name) != state]
    if wrong:
        raise ValueError(
            f'{path} says that {wrong[0]} is {arch.get(wrong[0])!r}, but the checkpoint was trained with '
            f'{inferred[wrong[0]]!r} ({len(wrong)} norms differ); give the file that belongs to the checkpoint'
        )
    return arch


def table(before: State, after: State) -> str:
    """Counts the entries of both state dicts, part by part."""
    parts = {
        'norms': lambda key: '_bn.' in key or key.split('.')[-2] in ('share', 'visible', 'infrared'),
        'neck': lambda key: key.startswith(('bnneck.', 'neck.')),
        'classifier': lambda key: 'classifier.' in key,
        'convolutions': lambda key: key.startswith('backbone.'),
    }
    counts = {part: [0, 0] for part in parts}
    for column, state in enumerate((before, after)):
        for key in state:
            part = next(part for part, fits in parts.items() if fits(key.removeprefix('module.')))
            counts[part][column] += 1
    rows = [[part, *numbers] for part, numbers in counts.items()]
    return AsciiTable([['entries', 'read', 'written'], *rows, ['all', len(before), len(after)]]).table


def from_official(args: argparse.Namespace) -> tuple[State, State]:
    """Converts to mmreid."""
    checkpoint = load_checkpoint_file(args.src)
    if args.entry not in checkpoint and not official_norms(checkpoint):
        raise ValueError(f'{args.src} has no entry {args.entry!r}, only {", ".join(list(checkpoint)[:5])}')
    state = checkpoint.get(args.entry, checkpoint)
    if not official_norms(state):
        raise ValueError(f'{args.src} is not a checkpoint of the official CM-NAS code: it has no norm with thermal_bn')
    arch = choose_arch(state, args.arch)
    converted = to_mmreid(state, arch)
    config = model_config(converted, arch)
    require_fit(config, converted, args.src)
    meta = dict(source=f'CM-NAS, entry {args.entry}', model=config)
    atomic_write(args.dst, lambda file: torch.save(dict(meta=meta, state_dict=converted), file))
    save_arch(f'{args.dst}.arch.json', Architecture(arch, config['backbone']))
    atomic_write(f'{args.dst}.arch.py', config_fragment(arch))
    return state, converted


def from_mmreid(args: argparse.Namespace) -> tuple[State, State]:
    """Converts to the official code."""
    checkpoint = load_checkpoint_file(args.src)
    state = checkpoint.get('state_dict', checkpoint)
    if not arch_of(state):
        raise ValueError(f'{args.src} has no branch norm of CrossModalReID; give a checkpoint of an mmreid model')
    line = switch_line(arch_of(state))
    converted = {f'module.{key}': value for key, value in to_official(state).items()}
    atomic_write(args.dst, lambda file: torch.save(dict(model=converted), file))
    atomic_write(f'{args.dst}.cfg', line + '\n')
    return state, converted


def main(argv: Sequence[str] | None = None) -> None:
    """Converts, and prints what happened to the entries."""
    args = parse_args(argv)
    beside = ['.cfg'] if args.to_official else ['.arch.json', '.arch.py']
    ensure_new([args.dst, *(Path(f'{args.dst}{suffix}') for suffix in beside)], args.force)
    with converting(args.src):
        before, after = from_mmreid(args) if args.to_official else from_official(args)
    print(table(before, after))
    print(f'wrote {args.dst} and {", ".join(f"{args.dst.name}{suffix}" for suffix in beside)}')


if __name__ == '__main__':
    with one_line_errors():
        main()
