# Copyright (c) mmreid contributors. All rights reserved.
"""Shows batches as the model receives them: ``python tools/visualization/browse_dataset.py CONFIG``."""

import argparse
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from torch.utils.data import DataLoader

from mmreid.engine.runners import ReIDRunner
from mmreid.models.utils import denormalize
from mmreid.registry import MODELS
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.config import OptionsAction, load_config
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.registry_hints import suggest_names
from mmreid.utils.seed import set_epoch_seed
from mmreid.utils.setup_env import register_all_modules
from mmreid.utils.work_dir import ensure_writable
from mmreid.visualization import draw_batch

IMAGES = ('.jpg', '.jpeg', '.png', '.webp')


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Show batches as the model receives them')
    parser.add_argument('config', help='config file')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train', help='which dataloader')
    parser.add_argument('--out', help='folder, or one image file for all batches; default ./work_dirs/<config>/browse')
    parser.add_argument('--num-batches', type=int, default=2, help='batches of each dataloader')
    parser.add_argument('--show', action='store_true', help='show the batches in a window; press a key to continue')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, help='override config entries, key=value ...')
    args = parser.parse_args()
    if args.num_batches < 1:
        raise ValueError(f'--num-batches {args.num_batches}: ask for 1 batch or more')
    if args.show and os.name == 'posix' and not any(map(os.environ.get, ('DISPLAY', 'WAYLAND_DISPLAY'))):
        raise ValueError('--show: there is no display for a window; leave it out and look at the files')
    if args.out is None:
        args.out = str(Path('work_dirs') / Path(args.config).stem / 'browse')
    return args


def build_dataloaders(cfg: Config, split: str) -> list[DataLoader]:
    """Builds the dataloaders of ``'train'``, ``'val'`` or ``'test'`` as the runner does, one or several."""
    entries = cfg[f'{split}_dataloader']
    seed = (cfg.get('randomness') or {}).get('seed')
    return [ReIDRunner.build_dataloader(e, seed=seed) for e in (entries if isinstance(entries, list) else [entries])]


def draw_batches(cfg: Config, split: str, num_batches: int) -> Iterator[tuple[str, np.ndarray]]:
    """Draws the first batches of each dataloader; for training, those that its first epoch starts with.

    Args:
        cfg (Config): The config.
        split (str): ``'train'``, ``'val'`` or ``'test'``.
        num_batches (int): Batches of each dataloader.

    Yields:
        tuple[str, np.ndarray]: A name, and an image (H, W, 3), BGR, uint8.
    """
    preprocessor = dict(cfg.get('model', {}).get('data_preprocessor') or cfg.get('data_preprocessor') or {})
    preprocessor.setdefault('type', 'mmreid.ReIDDataPreprocessor')
    preprocessor = MODELS.build(preprocessor)
    for number, loader in enumerate(build_dataloaders(cfg, split)):
        data_set = loader.dataset.metainfo.get('dataset_name', 'data set')
        set_epoch_seed((cfg.get('randomness') or {}).get('seed') or 0, epoch=0)
        for index, batch in enumerate(islice(loader, num_batches)):
            batch = preprocessor(batch, training=split == 'train')
            # MMPretrain's preprocessors lack these if they do not normalize.
            images = denormalize(
                batch['inputs'],
                getattr(preprocessor, 'mean', 0.0),
                getattr(preprocessor, 'std', 1.0),
                getattr(preprocessor, 'to_rgb', True),
            )
            samples = batch['data_samples']
            identities = len({sample.get('pid') for sample in samples})
            title = (
                f'{split}, {data_set}: batch {index} of {len(loader)}, {len(samples)} images '
                f'({images.shape[1]}x{images.shape[2]}), {identities} identities'
            )
            yield f'{split}{number}_batch{index}', draw_batch(images, samples, title)


def stack(images: list[np.ndarray]) -> np.ndarray:
    """Stacks images of any width on white."""
    width = max(image.shape[1] for image in images)
    return np.concatenate([np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in images])


def write(path: Path, image: np.ndarray) -> None:
    """Writes an image and prints its path."""
    done, data = cv2.imencode(path.suffix, image)
    if not done:
        raise ValueError(f'{path}: OpenCV cannot write an image of {image.shape[:2]}; use --out FOLDER')
    atomic_write(path, data.tobytes())
    print(path)


def main() -> None:
    """Draws, shows and writes the batches."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, required=[f'{args.split}_dataloader'])
    out = Path(args.out)
    as_file = out.suffix.lower() in IMAGES and not out.is_dir()
    ensure_writable(out.absolute().parent if as_file else out)
    register_all_modules()
    drawn = []
    with suggest_names():
        for name, image in draw_batches(cfg, args.split, args.num_batches):
            drawn.append(image)
            if args.show:
                cv2.imshow(name, image)
                cv2.waitKey(0)
            if not as_file:
                write(out / f'{name}.jpg', image)
    if as_file:
        write(out, stack(drawn))


if __name__ == '__main__':
    with one_line_errors():
        main()
