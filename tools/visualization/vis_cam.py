# Copyright (c) mmreid contributors. All rights reserved.
"""Draws what makes two images similar to a model: ``vis_cam.py A.jpg --against B.jpg``; of one image, what it sees."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2

from mmreid.apis import ReIDInferencer
from mmreid.apis.similarity_cam import SimilarityCam
from mmreid.datasets.transforms.loading import MAX_PIXELS, check_max_pixels, read_image
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.visualization.heat_map import draw_heat_maps

BUILT_IN = 'mmreid::bot_mobilenet-v2-short_1xb64-2e_procedural-128x64'
MODALITIES = ('visible', 'infrared')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Draw where a model looks, by class activation maps')
    parser.add_argument('image', help='an image file')
    parser.add_argument('--against', metavar='IMAGE', help='another one: draw what makes the two similar')
    parser.add_argument('--different', action='store_true', help='draw what makes the two different instead')
    parser.add_argument(
        '--model', default=BUILT_IN, help='a checkpoint, a published folder or a name; default: built in'
    )
    parser.add_argument('--weights', help="checkpoint for a config file or a name; 'none' for initial weights")
    parser.add_argument(
        '--layer', help='name of the layer whose places are weighted; default: the last of the backbone'
    )
    parser.add_argument('--modality', choices=MODALITIES, help='of the image, for models that tell them apart')
    parser.add_argument('--against-modality', choices=MODALITIES, help='of the other one; default: the same')
    parser.add_argument('--out', type=Path, default=Path('cam.jpg'), help='.jpg or .png; ./cam.jpg by default')
    parser.add_argument('--device', help='cpu or cuda; by default the GPU if there is one')
    parser.add_argument('--max-pixels', type=int, default=MAX_PIXELS, help='refuse larger images; 0 for no limit')
    args = parser.parse_args(argv)
    if args.out.suffix.lower() not in ('.jpg', '.jpeg', '.png') or not args.out.absolute().parent.is_dir():
        parser.error(f'--out {args.out} must end with .jpg or .png, in a folder that exists')
    if args.different and not args.against:
        parser.error('--different compares two images: give --against too')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Draws the image and prints its path."""
    args = parse_args(argv)
    inferencer = ReIDInferencer(
        args.model, args.weights, args.device, max_pixels=check_max_pixels(args.max_pixels or None)
    )
    cam = SimilarityCam(inferencer, args.layer)
    of_image, of_other = args.modality, args.against_modality or args.modality
    pairs = [(args.image, args.against, of_image, of_other)]
    pairs += [(args.against, args.image, of_other, of_image)] if args.against else []
    heats = [
        cam(image, other, different=args.different, modality=own, against_modality=others)
        for image, other, own, others in pairs
    ]
    lines = [f'{inferencer.name}, {cam.layer}']
    if args.against:
        score = inferencer.compare(args.image, args.against, modality=(of_image, of_other) if of_image else None)
        lines.append(f'score {score:.3f}; red {"lowers" if args.different else "raises"} it')
    pixels = [read_image(image, inferencer.max_pixels) for image, *_ in pairs]
    drawing = draw_heat_maps(pixels, heats, lines)
    atomic_write(args.out, cv2.imencode(args.out.suffix, drawing)[1].tobytes())
    print(f'{args.out}: {", ".join(lines)}')


if __name__ == '__main__':
    with one_line_errors():
        main()
