# Copyright (c) mmreid contributors. All rights reserved.
"""Measures models and floors on the people of the clip vtest.avi: ``python benchmarks/real/measure.py data/vtest``.

Models are given as ``NAME=MODEL`` or ``NAME=CONFIG,WEIGHTS``. ``--persons test`` measures the test persons, which is
done once, at the end.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
import torch
from claims.color_histogram import histogram
from mmengine.logging import MMLogger

from mmreid.apis import ReIDInferencer
from mmreid.datasets import VTest
from mmreid.evaluation.functional import RankingResult, rank_features
from mmreid.models.matchers import CosineMatcher
from mmreid.utils import register_all_modules

PIXELS = (16, 32)  # width, height
DRAWS = 2000  # of persons, for the intervals


def pixels(path: str) -> np.ndarray:
    """The image itself, small, with its mean and contrast taken out."""
    image = cv2.resize(cv2.imread(path), PIXELS, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    return (image - image.mean()) / (image.std() + 1e-6)


def images(dataset: VTest, split: str) -> list[str]:
    """Lists the files of the queries or of the gallery."""
    return [dataset.get_data_info(int(index))['img_path'] for index in np.flatnonzero(dataset.splits == split)]


def rank(features: np.ndarray, dataset: VTest) -> RankingResult:
    """Ranks all other tracklets for each query; features (G, D) are those of the gallery, which holds the queries."""
    place = {path: row for row, path in enumerate(images(dataset, 'gallery'))}
    sides = [dataset.splits == split for split in ('query', 'gallery')]
    labels = [torch.from_numpy(ids[side]) for side in sides for ids in (dataset.pids, dataset.camids)]
    features = torch.from_numpy(features).float()
    return rank_features(
        features[[place[path] for path in images(dataset, 'query')]], features, CosineMatcher(), *labels
    )


def score(features: np.ndarray, dataset: VTest) -> tuple[np.ndarray, np.ndarray]:
    """Average precision and Rank-1 (2, S) of the queries that have a right answer, and their persons (S,)."""
    found = rank(features, dataset)
    ap = found.ap.numpy()
    scored = ~np.isnan(ap)
    values = np.stack([ap[scored], found.first_match.numpy()[scored] == 1]).astype(float)
    return values, dataset.pids[dataset.splits == 'query'][scored]


def row(name: str, values: np.ndarray, persons: np.ndarray) -> str:
    """One line of the table: mAP, Rank-1 and their intervals over persons, in percent."""
    cells = [f'{100 * mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]' for mean, low, high in intervals(values, persons)]
    return f'| {name} | {" | ".join(cells)} |'


def intervals(values: np.ndarray, persons: np.ndarray) -> list[tuple[float, float, float]]:
    """Means of rows (V, Q) over queries, with the 2.5 and 97.5 percentiles when persons are drawn with replacement."""
    unique = np.unique(persons)
    sums = np.stack([values[:, persons == person].sum(1) for person in unique], 1)
    counts = np.array([(persons == person).sum() for person in unique])
    draws = np.random.default_rng(0).integers(len(unique), size=(DRAWS, len(unique)))
    means = sums[:, draws].sum(2) / counts[draws].sum(1)
    return [(float(row.mean()), *np.percentile(drawn, [2.5, 97.5])) for row, drawn in zip(values, means, strict=True)]


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', help='what tools/dataset_converters/vtest2reid.py wrote')
    parser.add_argument('models', nargs='*', metavar='NAME=MODEL', help='checkpoints, folders, mmreid:: names')
    parser.add_argument('--persons', choices=['development', 'test', 'all'], default='development')
    args = parser.parse_args(argv)
    register_all_modules()
    MMLogger.get_instance('mmreid', log_level='WARNING')
    dataset = VTest(args.folder, persons=args.persons, split='test')
    dataset.full_init()
    paths = images(dataset, 'gallery')
    print(f'queries: {args.persons} persons, {len(dataset) - len(paths)} crops; gallery: {len(paths)} crops\n')
    print('| | mAP | Rank-1 |\n| --- | --- | --- |')
    random = np.random.default_rng(0).standard_normal((len(paths), 128))
    print(row('random features', *score(random, dataset)))
    print(row('raw pixels', *score(np.stack([pixels(path) for path in paths]), dataset)))
    for name, corrected in (('color histogram', False), ('color histogram of the middle, colors corrected', True)):
        print(row(name, *score(np.stack([histogram(path, corrected) for path in paths]), dataset)))
    for model in args.models:
        name, _, source = model.rpartition('=')
        inferencer = ReIDInferencer(*source.split(','), device='cpu')
        print(row(name or source, *score(inferencer.extract(paths, progress=False), dataset)), flush=True)


if __name__ == '__main__':
    main()
