# Copyright (c) mmreid contributors. All rights reserved.
"""Trains the backbone that all benchmarks start from, and prints the path of its weights.

``python benchmarks/warm_start/train_warm_start.py --seed 0``
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from mmreid.datasets.synthetic import GENERATOR_VERSION
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.checkpoint import load_checkpoint_file
from mmreid.utils.config import load_config
from mmreid.utils.one_line_errors import one_line_errors

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/pretrain/pretrain_resnet18_1xb64-20e_procedural-64x32.py'
PREFIX = 'backbone.'
# 'pretrain' is the domain whose people occur in no other world. Its seed is fixed; --seed is the training's.
DATA = (
    '--domain', 'pretrain', '--train-ids', '400', '--test-ids', '60', '--cameras', '3', '--images-per-camera', '2',
    '--size', '64', '32', '--seed', '0',
)  # fmt: skip
# Freed activations are kept instead of being handed back to the system after each step, see tools/quickstart.sh.
ENVIRONMENT = {
    'OMP_NUM_THREADS': '1',
    'MALLOC_MMAP_THRESHOLD_': '1073741824',
    'MALLOC_TRIM_THRESHOLD_': '4294967296',
}


def run_tool(*command: str | Path) -> None:
    """Runs one of the repository's tools on a single thread, its output on stderr.

    Args:
        *command (str | Path): The script, relative to the repository, and its arguments.

    Raises:
        RuntimeError: If it fails.
    """
    words = [str(word) for word in command]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=os.environ | ENVIRONMENT, stdout=sys.stderr)  # noqa: S603  a list of our own words
    if done.returncode:
        raise RuntimeError(f'{" ".join(words)} ended with status {done.returncode}; the reason stands above.')


def weights_path(out_dir: Path, seed: int) -> Path:
    """Names the file of a warm start by everything that decides its content.

    Args:
        out_dir (Path): Folder of the warm starts.
        seed (int): Seed of the training.

    Returns:
        Path: The file, which may not be there yet.
    """
    config = load_config(str(ROOT / CONFIG)).to_dict()
    decisive = json.dumps([config, DATA, GENERATOR_VERSION], sort_keys=True, default=str)
    return out_dir / f'resnet18_seed{seed}_{hashlib.sha256(decisive.encode()).hexdigest()[:8]}.pth'


def make_data(data_root: Path) -> None:
    """Draws the pre-training people; a folder that is complete is left as it is.

    Args:
        data_root (Path): Folder to create.
    """
    run_tool('tools/dataset_converters/make_procedural.py', data_root, *DATA, '--force')


def save_backbone(checkpoint: Path, path: Path) -> None:
    """Copies the weights of the backbone out of a checkpoint of the runner.

    Args:
        checkpoint (Path): The checkpoint.
        path (Path): File to write: a dictionary of tensors, whose names keep their prefix ``backbone.``.
    """
    state = load_checkpoint_file(checkpoint)['state_dict']
    weights = {name: tensor.clone() for name, tensor in state.items() if name.startswith(PREFIX)}
    atomic_write(path, lambda file: torch.save(weights, file))


def train_warm_start(seed: int, out_dir: Path, data_root: Path) -> Path:
    """Makes a warm start, or finds the one that is there.

    Args:
        seed (int): Seed of the training.
        out_dir (Path): Folder of the warm starts.
        data_root (Path): Folder of the pre-training people.

    Returns:
        Path: The weights. The whole model lies beside them, with ``_model`` in its name.
    """
    path = weights_path(out_dir, seed)
    if path.is_file():
        return path
    make_data(data_root)
    out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{path.stem}.', dir=out_dir) as work_dir:
        options = (f'randomness.seed={seed}', f'train_dataloader.dataset.data_root={data_root}')
        run_tool('tools/train.py', CONFIG, '--work-dir', work_dir, '--no-validate', '--cfg-options', *options)
        checkpoint = Path((Path(work_dir) / 'last_checkpoint').read_text().strip())
        state = load_checkpoint_file(checkpoint)['state_dict']
        atomic_write(model_path(path), lambda file: torch.save(dict(state_dict=state), file))
        save_backbone(checkpoint, path)
    return path


def model_path(weights: Path) -> Path:
    """Names the file of the whole model, with neck and head, which ``tools/test.py`` reads.

    Args:
        weights (Path): The file of the backbone.

    Returns:
        Path: The file beside it.
    """
    return weights.with_name(f'{weights.stem}_model.pth')


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--seed', type=int, default=0, help='seed of the training')
    parser.add_argument('--out-dir', type=Path, default=ROOT / 'work_dirs/warm_start', help='folder of the weights')
    parser.add_argument('--data-root', type=Path, default=ROOT / 'data/procedural-pretrain', help='folder of the data')
    parser.add_argument('--path', action='store_true', help='train nothing; print where the weights are or would be')
    args = parser.parse_args()
    if args.seed < 0:
        parser.error(f'--seed is {args.seed}, but seeds are 0 or more')
    return args


def main() -> None:
    """Trains if need be; the last line of stdout is the path."""
    args = parse_args()
    out_dir = args.out_dir.absolute()
    print(
        weights_path(out_dir, args.seed)
        if args.path
        else train_warm_start(args.seed, out_dir, args.data_root.absolute())
    )


if __name__ == '__main__':
    with one_line_errors():
        main()
