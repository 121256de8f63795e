# Copyright (c) mmreid contributors. All rights reserved.
"""Does the heat of a difference lie on the garment that differs? On drawn people, whose garments are known exactly.

A pair shows one person twice, in the same pose before the same background, once with another color of the upper or of
the lower clothes. The garment is where the two images differ. The claim, fixed before the first run: the mean heat on
the garment is at least twice that of the whole image, on average over the pairs of each seed.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmreid.apis import ReIDInferencer
from mmreid.apis.similarity_cam import SimilarityCam
from mmreid.datasets.synthetic import World
from mmreid.datasets.synthetic.identity import color_distance

BUILT_IN = 'mmreid::bot_mobilenet-v2-short_1xb64-2e_procedural-128x64'
GARMENTS = ('upper_color', 'lower_color')
VISIBLE = 120.0  # least distance of the two colors, RGB
CHANGED = 12  # least change of a pixel of the garment, of 255
LEAST = 0.02  # of the image that a garment covers
CAMERAS = 4


def pairs_of(seed: int, count: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Draws pairs, and gives both images (H, W, 3), BGR, and the mask (H, W) of the garment."""
    first, second = (World(seed=seed, domain='daylight', cameras=CAMERAS) for _ in range(2))
    pid = done = 0
    while done < count:
        pid += 1
        garment = GARMENTS[done % 2]
        one, other = first.person(pid), first.person(pid + 1)
        if color_distance(getattr(one, garment), getattr(other, garment)) < VISIBLE:
            continue
        changed = replace(one, **{garment: getattr(other, garment)})
        second.person = lambda pid, changed=changed: changed
        images = [world.render(pid, done % CAMERAS, 0)[..., ::-1].copy() for world in (first, second)]
        mask = np.abs(images[0].astype(int) - images[1]).max(2) >= CHANGED
        if mask.mean() < LEAST:  # hidden by an occluder
            continue
        done += 1
        yield *images, mask


def ratios(cam: SimilarityCam, seed: int, count: int) -> np.ndarray:
    """Returns the mean heat on the garment over that of the image, for each pair."""
    found = []
    for image, other, mask in pairs_of(seed, count):
        heat = cam(image, other, different=True)
        found.append(heat[mask].mean() / max(heat.mean(), 1e-12))
    return np.array(found)


def main() -> None:
    """Measures each seed, and writes the ratios."""
    parser = argparse.ArgumentParser(description='Measure the heat of a difference on the garment that differs')
    parser.add_argument('--model', default=BUILT_IN)
    parser.add_argument('--weights')
    parser.add_argument('--layer')
    parser.add_argument('--pairs', type=int, default=50)
    parser.add_argument('--seeds', type=int, nargs='+', default=[101, 102, 103])
    parser.add_argument('--out', type=Path, help='JSON file for the numbers')
    args = parser.parse_args()
    cam = SimilarityCam(ReIDInferencer(args.model, args.weights, 'cpu'), args.layer)
    results = {}
    for seed in args.seeds:
        found = ratios(cam, seed, args.pairs)
        results[seed] = found.round(4).tolist()
        share = (found >= 2).mean()
        print(
            f'seed {seed}: {found.mean():.2f} times, median {np.median(found):.2f}, {share:.0%} of the pairs at least 2'
        )
    if args.out:
        args.out.write_text(json.dumps(dict(model=args.model, layer=cam.layer, ratios=results), indent=1) + '\n')


if __name__ == '__main__':
    main()
