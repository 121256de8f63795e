# Copyright (c) mmreid contributors. All rights reserved.
"""Measures the built-in model on drawn people, beside color histograms and the same network before training.

``python benchmarks/baseline/builtin_model.py FOLDER...`` takes folders that ``make_procedural.py`` has drawn in its
default layout; ``--model`` takes another checkpoint or published folder.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from claims.color_histogram import histogram
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

from mmreid.apis import ReIDInferencer
from mmreid.evaluation.functional import rank_features
from mmreid.models.matchers import CosineMatcher
from mmreid.registry import DATASETS
from mmreid.utils import register_all_modules

NAME = 'bot_osnet-x0-25_1xb64-15e_procedural-64x32'
FLOORS = {'color histograms': False, 'the same of the middle, colors corrected': True}


def measure(features: np.ndarray, records: Sequence[dict]) -> list[str]:
    """Ranks the gallery for each query; gives mAP, mINP, Rank-1 and Rank-5 in percent."""
    columns = {key: torch.tensor([record[key] for record in records]) for key in ('pid', 'camid')}
    is_query = torch.tensor([record['split'] == 'query' for record in records])
    labels = [columns[key][side] for side in (is_query, ~is_query) for key in ('pid', 'camid')]
    features = torch.from_numpy(features)
    found = rank_features(features[is_query], features[~is_query], CosineMatcher(), *labels)
    values = [found.ap.nanmean(), found.inp.nanmean(), found.cmc[0], found.cmc[4]]
    return [f'{100 * value:.1f}' for value in values]


def main() -> None:
    """Prints a table for each folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folders', nargs='+', metavar='FOLDER', help='drawn people')
    parser.add_argument('--model', default=f'mmreid::{NAME}', help='what is measured (default: the built-in model)')
    args = parser.parse_args()
    register_all_modules()
    MMLogger.get_instance('mmreid', log_level='WARNING')  # not the initial value of each layer
    torch.manual_seed(0)
    models = {
        'the same network before training': ReIDInferencer(f'mmreid::{NAME}', 'none', 'cpu'),
        args.model: ReIDInferencer(args.model, device='cpu'),
    }
    for folder in args.folders:
        with DefaultScope.overwrite_default_scope('mmreid'):
            data_set = DATASETS.build(dict(type='Market1501', data_root=folder, split='test', pipeline=[]))
        records = [data_set.get_data_info(index) for index in range(len(data_set))]
        paths = [record['img_path'] for record in records]
        rows = {name: np.stack([histogram(path, fix) for path in paths]) for name, fix in FLOORS.items()}
        rows |= {name: model.extract(paths, progress=False) for name, model in models.items()}
        print(f'\n{folder}\n\n| | mAP | mINP | Rank-1 | Rank-5 |\n| --- | --- | --- | --- | --- |')
        for name, features in rows.items():
            print(f'| {name} | {" | ".join(measure(features, records))} |')


if __name__ == '__main__':
    main()
