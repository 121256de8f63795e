# Copyright (c) mmreid contributors. All rights reserved.
"""Tests a warm start on people it has not seen, beside its floors: random, raw pixels, the untrained network."""

import argparse
import json
import tempfile
from pathlib import Path

import torch
from train_warm_start import CONFIG, ROOT, make_data, model_path, run_tool, weights_path

from mmreid.datasets import Market1501
from mmreid.evaluation.functional import rank
from mmreid.utils.one_line_errors import one_line_errors

PIXELS = 'configs/baseline/pixels_procedural-64x32.py'


def random_floor(data_root: Path, repeats: int = 20) -> dict[str, float]:
    """Ranks the gallery at random.

    Args:
        data_root (Path): Root folder of a data set in the layout of Market-1501.
        repeats (int): Number of random rankings whose metrics are averaged.

    Returns:
        dict[str, float]: Metric to value in percent, named as ``ReIDMetric`` names them.
    """
    data = Market1501(str(data_root), split='test', name='procedural')
    parts = {name: data.splits == name for name in ('query', 'gallery')}
    (q_pids, q_camids), (g_pids, g_camids) = (
        (torch.as_tensor(data.pids[chosen]), torch.as_tensor(data.camids[chosen])) for chosen in parts.values()
    )
    generator = torch.Generator().manual_seed(0)
    results = []
    for _ in range(repeats):
        scores = torch.rand(len(q_pids), len(g_pids), generator=generator)
        result = rank(scores, q_pids, q_camids, g_pids, g_camids)
        cmc = {f'Rank-{k}': float(result.cmc[k - 1]) for k in (1, 5, 10)}
        results.append({'mAP': result.mean_ap, 'mINP': result.mean_inp, **cmc})
    return {f'procedural/{name}': 100 * sum(r[name] for r in results) / repeats for name in results[0]}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0], help='warm starts to test')
    parser.add_argument('--out-dir', type=Path, default=ROOT / 'work_dirs/warm_start', help='folder of the weights')
    parser.add_argument('--data-root', type=Path, default=ROOT / 'data/procedural-pretrain', help='folder of the data')
    args = parser.parse_args()
    out_dir, data_root = args.out_dir.absolute(), args.data_root.absolute()
    models = {seed: model_path(weights_path(out_dir, seed)) for seed in args.seeds}
    for seed, path in models.items():
        if not path.is_file():
            raise ValueError(f'{path} is missing; make it with train_warm_start.py --seed {seed}.')
    make_data(data_root)
    rows = {'raw pixels': (PIXELS, 'none'), 'untrained network': (CONFIG, 'none')}
    rows |= {f'warm start, seed {seed}': (CONFIG, path) for seed, path in models.items()}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f'{number}.json' for number, name in enumerate(('random', *rows))}
        files['random'].write_text(json.dumps(random_floor(data_root)))
        for name, (config, checkpoint) in rows.items():
            options = ('--cfg-options', f'test_dataloader.dataset.data_root={data_root}')
            run_tool('tools/test.py', config, checkpoint, '--work-dir', folder, '--out', files[name], *options)
        run_tool('tools/analysis_tools/compare_results.py', *(f'{name}={file}' for name, file in files.items()))


if __name__ == '__main__':
    with one_line_errors():
        main()
