# Copyright (c) mmreid contributors. All rights reserved.
"""Draws what a matcher of maps matches in two images: ``vis_correspondence.py CONFIG CHECKPOINT A.jpg B.jpg``."""

import argparse
from pathlib import Path

import cv2
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from mmreid.datasets.transforms.loading import max_pixels_of, read_image
from mmreid.models import BaseReID
from mmreid.registry import MODELS, TRANSFORMS
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.checkpoint import load_checkpoint_file
from mmreid.utils.config import OptionsAction, load_config
from mmreid.utils.load_report import load_weights
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


def build_model(cfg: Config, checkpoint: str, device: str) -> BaseReID:
    """Builds the model of a config in eval mode, filled from a file, unless that is ``'none'``."""
    model = MODELS.build(cfg.model)
    if checkpoint == 'none':
        model.init_weights()
    else:
        report = load_weights(model, load_checkpoint_file(checkpoint))
        if not report.is_complete:
            raise ValueError(f'{checkpoint} does not fill the model of the config: {report}; use its own config')
    return model.to(device).eval()


def test_pipeline(cfg: Config) -> list[dict]:
    """Returns the pipeline of the first test set of a config."""
    loader = cfg.test_dataloader[0] if isinstance(cfg.test_dataloader, list) else cfg.test_dataloader
    return loader.dataset.pipeline


@torch.no_grad()
def extract(model: BaseReID, cfg: Config, images: list[str]) -> torch.Tensor:
    """Extracts the features, shape (N, ...), of image files as in testing."""
    pipeline = Compose([TRANSFORMS.build(step) for step in test_pipeline(cfg)])
    labels = dict(pid=0, camid=0, split='query', modality=None, domain=0, timestamp=None)
    samples = [pipeline(dict(labels, img_path=image, sample_idx=i)) for i, image in enumerate(images)]
    batch = model.data_preprocessor(pseudo_collate(samples), training=False)
    return model(**batch, mode='tensor')


def main() -> None:
    """Draws the image and prints its path."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, required=['model', 'test_dataloader'])
    ensure_writable(Path(args.out).absolute().parent)
    register_all_modules()
    pixels = [read_image(image, max_pixels_of(test_pipeline(cfg))) for image in args.images]
    with suggest_names():
        model = build_model(cfg, args.checkpoint, args.device)
        feats = extract(model, cfg, args.images)
    matches = find_correspondences(*feats, args.top)
    with torch.no_grad():
        score = float(model.matcher(feats[:1], feats[1:]))
    lines = [Path(args.config).stem, f'score {score:.3f}, {len(matches)} matches']
    drawing = draw_correspondences(pixels, matches, tuple(feats.shape[2:]), lines)
    atomic_write(args.out, cv2.imencode(Path(args.out).suffix, drawing)[1].tobytes())
    print(f'{args.out}: {", ".join(lines)}')


if __name__ == '__main__':
    with one_line_errors():
        main()
