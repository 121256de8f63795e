# Copyright (c) mmreid contributors. All rights reserved.
"""Options that every command with a :class:`ReIDInferencer` has."""

import argparse

from mmreid.apis import ReIDInferencer
from mmreid.apis.inferencer import PRECISIONS
from mmreid.datasets.transforms.loading import MAX_PIXELS, check_max_pixels


def add_inferencer_options(parser: argparse.ArgumentParser) -> None:
    """Adds the model, its weights, and how it runs."""
    parser.add_argument('model', help='a checkpoint, a published folder, a config file, or a name of list_models()')
    parser.add_argument('--weights', help="checkpoint for a config file or a name; 'none' for initial weights")
    parser.add_argument('--device', help='cpu or cuda; by default the GPU if there is one')
    parser.add_argument('--batch-size', type=int, default=32, help='32 by default')
    parser.add_argument('--num-workers', type=int, default=2, help='threads that read images, 2 by default')
    parser.add_argument('--precision', choices=list(PRECISIONS), default='fp32')
    parser.add_argument('--flip-test', action='store_true', default=None, help='add the feature of the mirrored image')
    parser.add_argument('--max-pixels', type=int, default=MAX_PIXELS, help='refuse larger images; 0 for no limit')


def build_inferencer(args: argparse.Namespace) -> ReIDInferencer:
    """Builds what the options of :func:`add_inferencer_options` ask for."""
    return ReIDInferencer(
        args.model,
        args.weights,
        args.device,
        batch_size=args.batch_size,
        precision=args.precision,
        flip_test=args.flip_test,
        num_workers=args.num_workers,
        max_pixels=check_max_pixels(args.max_pixels or None),
    )
