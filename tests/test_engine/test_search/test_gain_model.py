# Copyright (c) mmreid contributors. All rights reserved.
"""Gains of architectures, estimated from noisy scores; and which architectures a search tries next."""

import inspect

import numpy as np
import pytest

from mmreid.engine.search.arch_space import ArchSpace
from mmreid.engine.search.gain_model import Score, estimate_gains
from mmreid.engine.search.proposals import archs_of_round, best_first, propose
from mmreid.engine.search.search_report import candidates_of, choose
from mmreid.engine.search.short_training_search_loop import ShortTrainingSearchLoop
from mmreid.utils.config import load_config

SPACE = ArchSpace('norm', dict.fromkeys([f'norms.{place}' for place in range(5)], 'share'))
ARCHS = [SPACE.architecture(number) for number in range(SPACE.size)]
SHARED = SPACE.all_shared()
MIN_ERRORS = inspect.signature(ShortTrainingSearchLoop).parameters['min_errors'].default
EFFECTS = np.array([2.0, -1.0, 3.0, 0.0, -2.0])


def scores(noise, effects=EFFECTS, archs=ARCHS, seed=0, folds=1, epochs=3):
    rng = np.random.default_rng(seed)
    return [
        Score(arch, epochs, fold, 30 + 5 * fold + float(np.dot(arch, effects)) + noise * rng.normal())
        for fold in range(folds)
        for arch in archs
    ]


def test_gains_are_found_and_their_errors_are_right():
    true = np.array([np.dot(arch, EFFECTS) for arch in ARCHS])
    misses, widths = [], []
    for seed in range(20):
        gains = estimate_gains(scores(1.0, seed=seed), ARCHS, SHARED)
        misses.append((gains.mean - true)[1:] / gains.error[1:])
        widths.append(gains.error[1:].mean())
    assert 0.7 < np.std(misses) < 1.4
    assert np.mean(widths) < 1.2  # two single scores would give 1.4


def test_neighbors_tell_about_architectures_that_were_not_trained():
    trained = [arch for arch in ARCHS if sum(arch) != 3]
    asked = [arch for arch in ARCHS if sum(arch) == 3]
    gains = estimate_gains(scores(0.3, archs=trained), asked, SHARED)
    assert np.corrcoef(gains.mean, [np.dot(arch, EFFECTS) for arch in asked])[0, 1] > 0.9


def test_levels_of_rounds_and_folds_do_not_count():
    found = scores(0.5, folds=2)
    moved = [Score(score.arch, score.epochs, score.fold, score.value + 40 * score.fold) for score in found]
    assert np.allclose(estimate_gains(found, ARCHS, SHARED).mean, estimate_gains(moved, ARCHS, SHARED).mean)


def test_longer_trainings_count_more():
    one = (True, False, False, False, False)
    both = [Score(one, 1, 0, 34.0), Score(SHARED, 1, 0, 30.0), Score(one, 9, 1, 30.0), Score(SHARED, 9, 1, 34.0)]
    rest = [Score(arch, epochs, fold, 30.0) for arch in ARCHS[2:6] for epochs, fold in ((1, 0), (9, 1))]
    assert estimate_gains(both + rest, [one], SHARED).mean[0] <= 0


def test_equally_good_architectures_are_shared_nearly_always():
    """Searches in the rounds of the shipped config, among architectures that differ by chance alone."""
    rounds = load_config('configs/cmnas/cmnas-search_resnet50_1xb128-120e_sysu-256x128.py').train_cfg.rounds
    wrong = 0
    for seed in range(60):
        rng, found = np.random.default_rng(seed), []
        for number, entry in enumerate(rounds):
            archs = archs_of_round(entry.get('keep', 0), entry.get('new', 0), [SHARED], set(), found, SPACE, seed)
            for fold in range(entry['folds']):
                level = 10 * number + 5 * fold
                found += [
                    Score(arch, entry['epochs'], fold, level + rng.normal() / entry['epochs'] ** 0.5) for arch in archs
                ]
        wrong += choose(candidates_of(found, SPACE), SPACE, MIN_ERRORS) != SHARED
    assert wrong <= 5


def test_identical_scores_share_all():
    found = candidates_of([Score(arch, 1, 0, 30.0) for arch in ARCHS], SPACE)
    assert choose(found, SPACE, MIN_ERRORS) == SHARED


def test_clear_gains_are_chosen():
    found = candidates_of(scores(0.5), SPACE)
    assert choose(found, SPACE, MIN_ERRORS)[::2] == (True, True, False) and not found[0].arch[1]
    assert [candidate.gain for candidate in found] == sorted((candidate.gain for candidate in found), reverse=True)


def test_small_spaces_are_tried_completely():
    excluded = {ARCHS[3], ARCHS[7]}
    found = propose(40, [SHARED], excluded, [], SPACE, seed=0)
    assert len(found) == 30 and not excluded & set(found) and found[0] == SHARED
    assert propose(40, [SHARED], (), scores(1.0, archs=ARCHS[:30]), SPACE, seed=0) == ARCHS[30:]


def test_first_proposals_begin_with_what_is_asked_for_and_with_single_blocks():
    given = [SHARED, ARCHS[21]]
    found = propose(20, given, (), [], SPACE, seed=0)
    assert found[:2] == given and len(set(found)) == 20
    assert {sum(arch) for arch in found[2:12]} == {1, 4, 5}
    assert found == propose(20, given, (), [], SPACE, seed=0) != propose(20, given, (), [], SPACE, seed=1)


def test_later_proposals_are_near_the_best():
    large = ArchSpace('norm', dict.fromkeys([f'norms.{place}' for place in range(12)], 'share'))
    effects = np.where(np.arange(12) % 2, 2.0, -2.0)
    done: list[Score] = []
    for _ in range(4):
        archs = propose(16, [large.all_shared()], (), done, large, seed=0)
        assert len(archs) == 16 and not {score.arch for score in done} & set(archs)
        done += scores(0.5, effects, archs, seed=len(done))
    best = best_first(done, large)[0]
    assert np.dot(best, effects) >= 10  # of 12; the mean is 0


@pytest.mark.parametrize('count', [0, 3])
def test_as_many_as_asked_for(count):
    assert len(propose(count, [SHARED], (), [], SPACE, seed=0)) == count
