# Copyright (c) mmreid contributors. All rights reserved.
"""Renders a training set in the style of each of its cameras: ``python tools/camstyle/generate.py CONFIG CHECKPOINT``.

It may be stopped at any time; when it is run again, it makes what is missing.
"""

import argparse
import copy
import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from mmengine.device import get_device
from mmengine.registry import DefaultScope
from torch import nn
from torch.utils.data import DataLoader, Subset

import mmreid  # noqa: F401  checks the installation and lets checkpoints load
from mmreid.datasets import BaseReIDDataset
from mmreid.datasets.collate import reid_collate
from mmreid.datasets.preparation.camstyle_folder import CamStyleFolder, default_folder
from mmreid.datasets.transforms.loading import max_pixels_of
from mmreid.engine.runners.camstyle_runner import cameras_of
from mmreid.models.generators import CamStyleGAN, render, rendering_pipeline
from mmreid.registry import DATASETS, MODELS
from mmreid.utils.checkpoint import load_checkpoint_file
from mmreid.utils.config import OptionsAction, load_config
from mmreid.utils.load_report import load_weights
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.progress import track
from mmreid.utils.run_lock import run_lock
from mmreid.utils.work_dir import ensure_writable


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description='Render the training set of CONFIG in the style of each of its cameras',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('config', help='config of the training, e.g. one of configs/camstyle')
    parser.add_argument('checkpoint', help='checkpoint of the training')
    parser.add_argument('--out', type=Path, help='folder to write to; default: where LoadCamStyleImage looks')
    parser.add_argument(
        '--names', choices=['target', 'pair'], default='target',
        help='target: <stem>_fake_<b>.jpg; pair: <stem>_fake_<a>to<b>.jpg',
    )  # fmt: skip
    parser.add_argument('--own', action='store_true', help="also render each image in its own camera's style")
    parser.add_argument('--batch-size', type=int, default=64, help='images that the network renders at once')
    parser.add_argument('--workers', type=int, default=4, help='processes that read images')
    parser.add_argument('--threads', type=int, default=4, help='threads that write images')
    parser.add_argument('--quality', type=int, default=95, help='JPEG quality')
    parser.add_argument('--device', default=get_device(), help='where the network runs')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, help='override config entries, key=value ...')
    args = parser.parse_args(argv)
    for name in ('batch_size', 'threads'):
        if vars(args)[name] < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1')
    if args.workers < 0:
        parser.error('--workers must be at least 0')
    return args


def build_dataset(cfg: dict, size: tuple[int, int]) -> BaseReIDDataset:
    """Builds a training set (config) with whole, unchanged images of ``size``, the height and width of the network."""
    # A broken image stops, as in testing; on_corrupt='skip' would render another one under its name.
    pipeline = rendering_pipeline(size, max_pixels=max_pixels_of(cfg.pipeline))
    return DATASETS.build({**copy.deepcopy(cfg), 'pipeline': pipeline, 'test_mode': True})


def load_model(cfg: dict, checkpoint: str, cameras: list[int]) -> CamStyleGAN:
    """Builds the network (config) for cameras, from 0, and fills it; a ValueError if the file does not fit."""
    content = load_checkpoint_file(checkpoint)
    model = MODELS.build({**copy.deepcopy(cfg), 'cameras': cameras})
    try:
        report = load_weights(model, content)
    except ValueError as error:
        raise ValueError(f'{checkpoint}: {error}') from error
    lacking = [key for key in [*report.missing, *report.reshaped] if key.startswith(('generator.', 'camids'))]
    if lacking:
        raise ValueError(
            f'{checkpoint} does not fill the network ({report}); give a checkpoint that was trained with this config'
        )
    return model.eval()


def fingerprint(module: nn.Module) -> str:
    """Returns a hash of the weights of a network."""
    sha = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        sha.update(name.encode())
        sha.update(value.contiguous().cpu().numpy().tobytes())
    return sha.hexdigest()


def render_missing(
    args: argparse.Namespace,
    model: CamStyleGAN,
    dataset: BaseReIDDataset,
    folder: CamStyleFolder,
    missing: dict[int, list[int]],
) -> None:
    """Renders and writes; while threads write the images of one batch, the next is read and rendered.

    Args:
        args (argparse.Namespace): The command line.
        model (CamStyleGAN): The network.
        dataset (BaseReIDDataset): The real images.
        folder (CamStyleFolder): Where to write.
        missing (dict[int, list[int]]): Missing cameras by index of the image.
    """
    # An image makes up to one image per camera.
    at_once = max(1, args.batch_size // len(model.cameras))
    indices = list(missing)
    loader = DataLoader(Subset(dataset, indices), batch_size=at_once, num_workers=args.workers, collate_fn=reid_collate)
    chunks = [indices[first : first + at_once] for first in range(0, len(indices), at_once)]
    pending: list[Future] = []
    batches = iter(loader)
    with ThreadPoolExecutor(args.threads) as threads:
        for chunk in track(chunks, 'rendering'):
            inputs = next(batches)['inputs']
            jobs = [(row, index, camid) for row, index in enumerate(chunk) for camid in missing[index]]
            made = []
            for first in range(0, len(jobs), args.batch_size):
                part = jobs[first : first + args.batch_size]
                wanted = [model.cameras.index(camid) for _, _, camid in part]
                made.extend(render(model, inputs[[row for row, _, _ in part]], wanted))
            finish(pending)
            pending = [
                threads.submit(folder.write, dataset.get_data_info(index), camid, image)
                for (_, index, camid), image in zip(jobs, made, strict=True)
            ]
        finish(pending)


def finish(pending: Sequence[Future]) -> None:
    """Waits until the images are written, and raises what went wrong."""
    for future in pending:
        future.result()


def main(argv: Sequence[str] | None = None) -> None:
    """Renders what is missing."""
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options, required=('model', 'train_dataloader'))
    if cfg.model.type != 'CamStyleGAN':
        raise ValueError(f'{args.config} trains {cfg.model.type}, not CamStyleGAN; give one of configs/camstyle')
    with DefaultScope.overwrite_default_scope('mmreid'):
        dataset = build_dataset(cfg.train_dataloader.dataset, tuple(cfg.model.get('size', (256, 128))))
        cameras = cameras_of(dataset)
        model = load_model(cfg.model, args.checkpoint, cameras).to(args.device)
    records = [dataset.get_data_info(index) for index in range(len(dataset))]
    beside = default_folder(records, dataset.data_root)
    folder = CamStyleFolder(args.out or beside, args.names == 'pair', args.own, args.quality)
    facts = dict(cameras=[camid + 1 for camid in cameras], weights=fingerprint(model.generator))
    folder.check(facts)
    ensure_writable(folder.folder)
    with run_lock(folder.folder):
        folder.open(facts)
        missing = folder.missing(records, cameras)
        count = sum(map(len, missing.values()))
        wanted = len(records) * (len(cameras) - (not args.own))
        print(f'{len(records)} images of {len(cameras)} cameras: {count} to render, {wanted - count} are there')
        render_missing(args, model, dataset, folder, missing)
    print(f'wrote {count} images into {folder.folder}')


if __name__ == '__main__':
    with one_line_errors():
        main()
