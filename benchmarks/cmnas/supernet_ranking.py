# Copyright (c) mmreid contributors. All rights reserved.
"""Asks a finished gradient search of claim.py how its weights rank architectures, and where its gradients point.

On held-out images of the architecture steps, with the weights that the search ended with:

- the loss of each architecture of the table, beside the mAP that it reached when it was trained by itself;
- for each norm, what it gains by being split when all others are drawn at random, beside the gradient of its logits.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.model import BaseModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import claim_configs as configs  # noqa: E402
from claim import settings  # noqa: E402
from claims.results import Results, table  # noqa: E402
from claims.runs import ROOT, build, ensure_environment, folder_name, warm_start  # noqa: E402

from mmreid.engine.search.arch_search_loop import ArchSearchLoop  # noqa: E402
from mmreid.utils.checkpoint import load_checkpoint_file  # noqa: E402
from mmreid.utils.one_line_errors import one_line_errors  # noqa: E402

PARTS = ('ce', 'triplet', 'correlation', 'mmd')
SIGN = dict(split=1.0, share=-1.0)


def load_search(work_dir: Path, world: int, weights: Path, batches: int) -> tuple[BaseModel, list[dict]]:
    """Loads the weights of a finished search, and batches of its architecture steps.

    Args:
        work_dir (Path): That of ``claim.py``.
        world (int): The world that was searched.
        weights (Path): The warm start.
        batches (int): How many batches.

    Returns:
        tuple[BaseModel, list[dict]]: The model in training mode, and preprocessed batches.
    """
    cfg = configs.small_config(configs.GRADIENT, work_dir / f'people{world}', weights, world)
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    cfg.train_dataloader.sampler.batches_per_epoch = batches
    folder = work_dir / f'world{world}' / 'searches' / folder_name('search of gradient search')
    runner = build(cfg, folder.with_name('ranking'))
    loop: ArchSearchLoop = runner.build_train_loop(runner._train_loop)
    checkpoint = folder / f'epoch_{cfg.train_cfg.max_epochs}.pth'
    runner.model.load_state_dict(load_checkpoint_file(checkpoint)['state_dict'])
    runner.model.train()
    runner.model.phase = 'arch'
    return runner.model, [runner.model.data_preprocessor(batch, True) for batch in loop.arch_dataloader]


def losses_of(model: BaseModel, batch: dict) -> dict[str, torch.Tensor]:
    """Computes the losses of an architecture step, and ``loss``, their sum."""
    losses = model(**batch, mode='loss')
    parts = {part: losses[f'loss_{part}'] for part in PARTS}
    return dict(parts, loss=sum(parts.values()))


@torch.no_grad()
def losses_with(model: BaseModel, batches: list[dict], norms: Mapping[str, str]) -> dict[str, float]:
    """Computes the mean losses over batches when the norms run these states.

    Args:
        model (BaseModel): The searched network.
        batches (list[dict]): Preprocessed batches.
        norms (Mapping[str, str]): State of each norm.

    Returns:
        dict[str, float]: ``PARTS``, and ``loss``.
    """
    mutator = model.mutator
    kept, mutator._frozen = mutator.logits.detach().clone(), True
    gaps = torch.tensor([SIGN[norms[name]] for name in mutator.names])
    mutator.logits.copy_(torch.stack([gaps, -gaps], dim=1))
    found = [losses_of(model, batch) for batch in batches]
    mutator.logits.copy_(kept)
    mutator._frozen = False
    return {name: float(np.mean([float(losses[name]) for losses in found])) for name in found[0]}


def gains(model: BaseModel, batches: list[dict], seed: int) -> np.ndarray:
    """Measures, batch by batch, how much the loss falls when one norm is split and all others are drawn.

    Returns:
        np.ndarray: Loss shared minus loss split, shape (L, B).
    """
    rng = np.random.default_rng(seed)
    names = model.mutator.names
    found = np.empty((len(names), len(batches)))
    for column, batch in enumerate(batches):
        for place, name in enumerate(names):
            drawn = dict(zip(names, rng.choice(list(SIGN), len(names)).tolist(), strict=True))
            shared, split = (losses_with(model, [batch], drawn | {name: state})['loss'] for state in ('share', 'split'))
            found[place, column] = shared - split
    return found


def pulls(model: BaseModel, batches: list[dict]) -> np.ndarray:
    """Takes the gradient of an even mixture, batch by batch; a positive value pulls toward split.

    Returns:
        np.ndarray: How fast the loss falls along the logit of split, less that of share, shape (L, B).
    """
    mutator = model.mutator
    kept = mutator.logits.detach().clone()
    mutator.logits.data.zero_()
    columns = []
    for batch in batches:
        mutator.sample(mixed=True)
        (grad,) = torch.autograd.grad(losses_of(model, batch)['loss'], [mutator.logits])
        columns.append((grad[:, 1] - grad[:, 0]).numpy())
    mutator.logits.data.copy_(kept)
    return np.stack(columns, axis=1)


def noise(values: np.ndarray) -> np.ndarray:
    """Gives the standard error of the mean over the batches."""
    return values.std(1, ddof=1) / np.sqrt(values.shape[1])


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Gives Spearman's rank correlation of values without ties."""
    return float(np.corrcoef(*(np.argsort(np.argsort(values)) for values in (first, second)))[0, 1])


def main() -> None:
    """Prints both tables for each world."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--worlds', type=int, nargs='+', default=[10, 11, 12, 13, 14], help='of claim.py')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs/cmnas_claim', help='of claim.py')
    parser.add_argument('--batches', type=int, default=12, help='held-out batches')
    parser.add_argument('--rows-only', action='store_true', help='leave single norms out')
    args = parser.parse_args()
    torch.set_num_threads(1)
    work_dir = args.work_dir.absolute()
    weights = warm_start(work_dir)
    lines = Results(work_dir / 'results.jsonl', settings(weights)).lines
    for world in args.worlds:
        model, batches = load_search(work_dir, world, weights, args.batches)
        trained = [line for line in lines if line['seed'] == world and 'mAP' in line]
        losses = [losses_with(model, batches, line['norms']) for line in trained]
        cells = [['architecture', 'loss in the search', *PARTS, 'mAP when trained']]
        for found, line in sorted(zip(losses, trained, strict=True), key=lambda pair: pair[0]['loss']):
            cells.append([line['row'], *(f'{found[name]:.3f}' for name in ('loss', *PARTS)), f'{line["mAP"]:.1f}'])
        reached = [line['mAP'] for line in trained]
        orders = [rank_correlation([-found[name] for found in losses], reached) for name in ('loss', *PARTS)]
        cells.append(['rank correlation of mAP and the fall of it', *(f'{order:+.2f}' for order in orders), ''])
        print(f'world {world}\n\n{table(cells)}\n', flush=True)
        if args.rows_only:
            continue
        gain, pull, p_split = gains(model, batches, world), pulls(model, batches), model.mutator.probabilities()[:, 0]
        cells = [['norm', 'gain of split', 'gradient at an even mixture', 'probability of split']]
        for place, name in enumerate(model.mutator.names):
            texts = (f'{values[place].mean():+.4f} ± {noise(values)[place]:.4f}' for values in (gain, pull))
            cells.append([name, *texts, f'{p_split[place]:.2f}'])
        print(f'{table(cells)}\n')
        agree = [rank_correlation(gain.mean(1), other) for other in (pull.mean(1), p_split.tolist())]
        print('rank correlation of gain with gradient {:+.2f}, with probability {:+.2f}'.format(*agree))


if __name__ == '__main__':
    ensure_environment()
    with one_line_errors():
        main()
