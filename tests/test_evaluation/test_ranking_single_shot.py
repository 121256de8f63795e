# Copyright (c) mmreid contributors. All rights reserved.
"""The first protocol of CUHK03: one gallery image per identity, drawn in each trial."""

from dataclasses import replace

import pytest
import torch

from mmreid.evaluation.functional import CUHK03, MARKET1501, rank


def world(images_per_id=3, num_query=30, num_ids=12):
    generator = torch.Generator().manual_seed(0)
    g_pids = torch.arange(num_ids).repeat(images_per_id)
    scores = torch.randint(0, 50, (num_query, len(g_pids)), generator=generator) / 50
    q_pids = torch.randint(0, num_ids, (num_query,), generator=generator)
    return scores, [q_pids, torch.zeros_like(q_pids), g_pids, torch.ones_like(g_pids)]


def test_one_image_per_identity_is_the_plain_cmc():
    scores, labels = world(images_per_id=1)
    single = rank(scores, *labels, CUHK03, max_rank=12)
    torch.testing.assert_close(single.cmc, rank(scores, *labels, max_rank=12).cmc)
    assert single.places.shape == (30, 10)


def test_mean_over_trials_approaches_the_mean_over_all_galleries():
    """With two identities of two images there are four galleries."""
    labels = [torch.tensor(x) for x in ([1], [0], [1, 1, 2, 2], [1, 1, 1, 1])]
    scores = torch.tensor([[0.9, 0.2, 0.5, 0.1]])  # the match is ahead, except for 0.2 against 0.5
    result = rank(scores, *labels, replace(CUHK03, trials=2000), max_rank=2)
    assert float(result.cmc[0]) == pytest.approx(0.75, abs=0.04) and result.cmc[1] == 1
    assert result.mean_ap == rank(scores, *labels).mean_ap  # AP is over all images


def test_draws_are_seeded_and_free_of_blocks():
    scores, labels = world()
    first, blocks = rank(scores, *labels, CUHK03), rank(scores, *labels, CUHK03, memory=1)
    other = rank(scores, *labels, replace(CUHK03, seed=1))
    assert torch.equal(first.places, blocks.places) and not torch.equal(first.places, other.places)
    assert int(first.places.min()) >= 1 and int(first.places.max()) <= 12


def test_an_image_that_a_query_may_not_see_is_not_drawn():
    labels = [torch.tensor(x) for x in ([1, 3], [0, 0], [1, 1, 2], [0, 1, 1])]
    scores = torch.tensor([[0.9, 0.2, 0.5], [0.9, 0.2, 0.5]])
    result = rank(scores, *labels, CUHK03)
    assert result.places[0].tolist() == [2] * 10  # always image 1, behind image 2
    assert result.places[1].tolist() == [0] * 10 and result.num_valid == 1


def test_combinations_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="cmc='single_shot' .*blind_pairs"):
        replace(CUHK03, blind_pairs=((0, 1),))
    with pytest.raises(ValueError, match='trials=0 of Protocol'):
        replace(MARKET1501, trials=0)
