# Copyright (c) mmreid contributors. All rights reserved.
"""Draws what a matcher of maps matches in two images: ``vis_correspondence.py CONFIG CHECKPOINT A.jpg B.jpg``."""

import argparse
from pathlib import Path

import cv2
import torch

from mmreid.apis import ReIDInferencer
from mmreid.datasets.transforms.loading import max_pixels_of, read_image
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.config import OptionsAction, load_config
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.registry_hints import suggest_names
from mmreid.utils.setup_env import register_all_modules
from mmreid.utils.work_dir import ensure_writable
from mmreid.visualization import draw_correspondences, find_correspondences


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Draw the local correspondences of two images')
    parser.add_argument('config', help='config file of a model with feature maps')
    parser.add_argument('checkpoint', help="checkpoint file, or 'none' for the initial weights")
    parser.add_argument('images', nargs=2, help='two image files')
    parser.add_argument('--out', help='image file; default ./work_dirs/<config>/correspondence/<A>_<B>.jpg')
    parser.add_argument('--top', type=int, default=20, help='most lines to draw, 20 by default')
    parser.add_argument('--device', default='cpu', help='where the model runs, cpu by default')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, help='override config entries, key=value ...')
    args = parser.parse_args()
    if args.top < 1:
        raise ValueError(f'--top {args.top}: ask for 1 line or more')
    if args.out is None:
        name = '_'.join(Path(image).stem for image in args.images) + '.jpg'
        args.out = str(Path('work_dirs') / Path(args.config).stem / 'correspondence' / name)
    if Path(args.out).suffix.lower() not in ('.jpg', '.jpeg', '.png', '.webp'):
        raise ValueError(f'--out {args.out}: give a name that ends in .jpg, .png or .webp')
    return args


def main() -> None:
    """Draws the image and prints its path."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, required=['model', 'test_dataloader'])
    ensure_writable(Path(args.out).absolute().parent)
    register_all_modules()
    loader = cfg.test_dataloader[0] if isinstance(cfg.test_dataloader, list) else cfg.test_dataloader
    max_pixels = max_pixels_of(loader.dataset.pipeline)
    with suggest_names():
        inferencer = ReIDInferencer(cfg, args.checkpoint, args.device, max_pixels=max_pixels)
    first, second = torch.from_numpy(inferencer.extract(args.images, progress=False))
    matches = find_correspondences(first, second, args.top)
    pixels = [read_image(image, max_pixels) for image in args.images]
    lines = [Path(args.config).stem, f'score {inferencer.compare(*args.images):.3f}, {len(matches)} matches']
    drawing = draw_correspondences(pixels, matches, tuple(first.shape[1:]), lines)
    atomic_write(args.out, cv2.imencode(Path(args.out).suffix, drawing)[1].tobytes())
    print(f'{args.out}: {", ".join(lines)}')


if __name__ == '__main__':
    with one_line_errors():
        main()
