# Copyright (c) mmreid contributors. All rights reserved.
"""What every rank of test_ranking_sharded.py does: ``torchrun sharded_ranking_work.py OUT_FILE``."""

import sys

import torch
from mmengine.dist import all_gather_object, get_dist_info, is_main_process

from mmreid.evaluation.functional import SYSU_MM01, CachedScores, MatrixScores, TLiftScores, rank, rank_features
from mmreid.models import CosineMatcher
from mmreid.utils.dist import leave_distributed

NAMES = ('ap', 'inp', 'first_match', 'num_matches', 'places', 'top', 'top_scores', 'cmc')


def results() -> dict:
    """Ranks features and a matrix in seven blocks, of which the last is short; and fails on the last rank."""
    generator = torch.Generator().manual_seed(0)
    q, g = torch.randn(33, 16, generator=generator), torch.randn(200, 16, generator=generator)
    labels = [torch.randint(0, high, (n,), generator=generator) for n in (33, 200) for high in (9, 4)]
    options = dict(keep_top=4, roc_fpr=0.05, memory=5 * (4 * 200 + 64 * 40), sharded=True)
    ranked = dict(
        features=rank_features(q, g, CosineMatcher(), *labels, **options),
        matrix=rank((10 * q @ g.t()).round(), *labels, SYSU_MM01, **options),
    )
    values = {
        kind: dict(
            {name: getattr(result, name) for name in NAMES}, tpr=result.roc.tpr(0.03), pairs=result.roc.num_other
        )
        for kind, result in ranked.items()
    }

    def failing(block: slice) -> torch.Tensor:
        scores = q[block] @ g.t()
        if get_dist_info()[0] == get_dist_info()[1] - 1:
            scores[0, 0] = float('nan')
        return scores

    try:
        rank(failing, *labels, **options)
    except ValueError as error:
        values['failures'] = all_gather_object(str(error))
    # Three blocks of queries, of which ranks take turns.
    scores, times = torch.rand(300, 50, generator=generator), torch.rand(350, generator=generator) * 2000
    cameras = torch.randint(0, 3, (350,), generator=generator)
    sides = cameras[:300], times[:300], cameras[300:], times[300:]
    values['tlift'] = dict(scores=TLiftScores(MatrixScores(scores), *sides, sharded=True).rows(slice(0, 300)))
    # A slow matcher has small blocks, of which each rank meets the same ones again in every pass.
    slow, matched = MatrixScores(scores), []
    slow.max_rows, slow.rows = 64, lambda block: matched.append(block.stop - block.start) or scores[block].clone()
    kept, labels = CachedScores(slow), [torch.arange(n) % 9 for n in (300, 50)]
    plain, lifted = (
        rank(part, labels[0], cameras[:300], labels[1], cameras[300:], sharded=True)
        for part in (kept, TLiftScores(kept, *sides, sharded=True))
    )
    num_matched = sum(all_gather_object(sum(matched)))
    values['kept'] = dict(plain=plain.ap, lifted=lifted.ap, matched=torch.tensor(num_matched))
    return values


if __name__ == '__main__':
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo')
    outcome = results()
    if is_main_process():
        torch.save(outcome, sys.argv[1])
    leave_distributed()
