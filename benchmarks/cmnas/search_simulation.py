# Copyright (c) mmreid contributors. All rights reserved.
"""Simulates searches by short trainings: how often they split for nothing, and how much they lose against the best.

``python benchmarks/cmnas/search_simulation.py`` draws the worth of 32 architectures and the chance of trainings, runs
the rounds of a config on them, and prints a table. Nothing is trained.
"""

import argparse
from collections.abc import Mapping, Sequence

import numpy as np

from mmreid.engine.search.arch_space import Arch, ArchSpace
from mmreid.engine.search.gain_model import Score
from mmreid.engine.search.proposals import archs_of_round, best_first, propose
from mmreid.engine.search.search_report import candidates_of, choose
from mmreid.utils.config import load_config

CONFIG = 'configs/cmnas/cmnas-search_resnet50_1xb128-120e_sysu-256x128.py'
SPACE = ArchSpace('norm', dict.fromkeys([f'block{number}' for number in range(5)], 'share'))
SHARED = SPACE.all_shared()
ARCHS = [SPACE.architecture(number) for number in range(SPACE.size)]
BLOCK, PAIR = (1.0, 1.5), (0.0, 0.8)  # mAP that splitting a block, or both of a pair, is worth: mean and deviation
CHANCE, EPOCHS = 1.5, 20  # deviation of the mAP of a training of so many epochs
LEVEL = 3.0  # deviation of the mAP of other held-out identities


def draw_worths(seed: int) -> dict[Arch, float]:
    """Draws what each architecture is worth over sharing all."""
    rng = np.random.default_rng(seed)
    blocks, pairs = rng.normal(*BLOCK, 5), np.triu(rng.normal(*PAIR, (5, 5)), 1)
    return {arch: float(np.array(arch) @ blocks + np.array(arch) @ pairs @ np.array(arch)) for arch in ARCHS}


def search(
    rounds: Sequence[Mapping], worths: Mapping[Arch, float], seed: int, compare: bool, min_errors: float
) -> Arch:
    """Runs the rounds, and chooses.

    Args:
        rounds (Sequence[Mapping]): As in ``train_cfg.rounds``.
        worths (Mapping[Arch, float]): What each architecture is worth, in mAP.
        seed (int): Seed of chance.
        compare (bool): Train all shared in every round, as searches do, instead of in the first only.
        min_errors (float): See :class:`ShortTrainingSearchLoop`.

    Returns:
        Arch: The choice.
    """
    rng, scores = np.random.default_rng(seed), []
    for entry in rounds:
        keep, new = entry.get('keep', 0), entry.get('new', 0)
        so_far = [SHARED], set(), scores, SPACE, seed
        if compare:
            archs = archs_of_round(keep, new, *so_far)
        else:
            archs = best_first(scores, SPACE)[:keep] + propose(new, *so_far)
        known = {(score.arch, score.epochs, score.fold) for score in scores}
        for fold in range(entry['folds']):
            level, chance = LEVEL * rng.normal(), CHANCE * (EPOCHS / entry['epochs']) ** 0.5
            scores += [
                Score(arch, entry['epochs'], fold, 50 + level + worths[arch] + chance * rng.normal())
                for arch in archs
                if (arch, entry['epochs'], fold) not in known
            ]
    return choose(candidates_of(scores, SPACE), SPACE, min_errors)


def main() -> None:
    """Prints a line for each form of the search."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--config', default=CONFIG, help='whose rounds are simulated')
    parser.add_argument('--searches', type=int, default=2000, help='number of searches of each kind')
    parser.add_argument('--min-errors', type=float, default=2.5, help='see ShortTrainingSearchLoop')
    args = parser.parse_args()
    rounds, equal = load_config(args.config).train_cfg.rounds, dict.fromkeys(ARCHS, 0.0)
    print('| all shared is trained | split for nothing, % | mAP below the best |\n| --- | --- | --- |')
    for name, compare in (('in the first round', False), ('in every round', True)):
        options = dict(compare=compare, min_errors=args.min_errors)
        wrong = sum(search(rounds, equal, seed, **options) != SHARED for seed in range(args.searches))
        lost = []
        for seed in range(args.searches):
            worths = draw_worths(seed)
            lost.append(max(worths.values()) - worths[search(rounds, worths, seed, **options)])
        print(f'| {name} | {100 * wrong / args.searches:.1f} | {np.mean(lost):.2f} |', flush=True)


if __name__ == '__main__':
    main()
