# Copyright (c) mmreid contributors. All rights reserved.
"""Losses on scores and the class memory, against the official ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmreid.models import ClassMemoryLoss, PairwiseHead, PairwiseMatchingLoss, QAConvMatcher, ScoreTripletLoss

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'
LOSSES = dict(
    triplet16=ScoreTripletLoss(margin=16.0), triplet1=ScoreTripletLoss(margin=1.0), pairwise=PairwiseMatchingLoss()
)


def near(found, expected, tolerance=1e-3):
    error = np.abs(found.detach().numpy() - expected) / np.maximum(1, np.abs(expected))
    assert error.max() <= tolerance


def matcher_of(data, prefix, mode='train'):
    matcher = QAConvMatcher((6, 4))
    names = [key for key in data.files if key.startswith(prefix)]
    matcher.load_state_dict({key[len(prefix) :]: torch.from_numpy(data[key].copy()) for key in names})
    return matcher.train(mode == 'train')


@pytest.mark.parametrize('mode', ['train', 'eval'])
@pytest.mark.parametrize('loss', list(LOSSES))
@pytest.mark.parametrize('batch', ['pairs', 'singletons'])
def test_losses_on_scores_are_the_official_ones(batch, loss, mode):
    data = np.load(GOLDEN / f'04_qaconv_loss_{batch}.npz')
    matcher = matcher_of(data, f'param/{loss}/{mode}/', mode)
    maps, labels = torch.from_numpy(data['feature']).requires_grad_(), torch.from_numpy(data['target'])
    head = PairwiseHead(loss_score=None, loss_memory=dict(type='ClassMemoryLoss'))
    head.loss_score, head.with_memory = LOSSES[loss], False
    results = head.loss(maps, labels, matcher)
    results['loss_score'].backward()
    near(results['loss_score'], data[f'{loss}/{mode}/mean_loss'])
    near(results['acc'] / 100, data[f'{loss}/{mode}/acc'].mean())
    near(maps.grad, data[f'{loss}/{mode}/grad_feature'])
    for name, parameter in matcher.named_parameters():
        near(parameter.grad, data[f'{loss}/{mode}/grad/{name}'])


def test_mean_over_all_triplets_is_that_of_a_loop():
    torch.manual_seed(0)
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    scores = torch.randn(6, 6, requires_grad=True)
    same, itself = labels[:, None] == labels, torch.eye(6, dtype=torch.bool)
    loss = ScoreTripletLoss(margin=1.0, mining='all')(scores, same, itself)
    expected = [
        (1 - scores[i, j] + scores[i, k]).clamp_min(0)
        for i in range(6)
        for j in range(6)
        for k in range(6)
        if i != j and same[i, j] and not same[i, k]
    ]
    torch.testing.assert_close(loss, torch.stack(expected).mean())
    loss.backward()
    assert scores.grad[5].eq(0).all()  # an identity of one image has no triplet


def test_all_triplets_survive_scores_that_overflow_and_batches_without_a_triplet():
    same, itself = torch.eye(3, dtype=torch.bool), torch.eye(3, dtype=torch.bool)
    scores = torch.tensor([[0.0, 1, 2], [float('inf'), 0, 1], [0, 1, 2]], requires_grad=True)
    loss = ScoreTripletLoss(mining='all')(scores, same, itself)
    loss.backward()
    assert loss == 0 and scores.grad.isfinite().all()


def test_score_triplet_loss_refuses_unknown_mining():
    with pytest.raises(ValueError, match="mining='some' .*'hardest' or 'all'"):
        ScoreTripletLoss(mining='some')


def memory_steps(name):
    """Runs the three steps of a golden file; gives the data, and what was found in each step."""
    data = np.load(GOLDEN / f'04_qaconv_class_memory_{name}.npz')
    matcher = matcher_of(data, 'param/')
    memory = ClassMemoryLoss(15, channels=16, size=(6, 4), chunk=int(data['mem_batch_size']))
    found = []
    for step in range(3):
        maps = torch.from_numpy(data[f'step{step}/feature']).requires_grad_()
        labels = torch.from_numpy(data[f'step{step}/target'])
        scores = memory.match(maps, matcher)
        loss = memory(scores, labels)
        memory.remember(maps, labels)
        matcher.zero_grad()
        loss.backward()
        found.append((loss, scores, maps.grad, matcher.fc.weight.grad, memory.state_dict()['valid_class'].clone()))
    return data, memory, found


@pytest.mark.parametrize('name', ['mb15', 'mb4'])
def test_class_memory_is_the_official_one(name):
    data, memory, found = memory_steps(name)
    for step, (loss, scores, grad, grad_weight, valid) in enumerate(found):
        near(loss, data[f'step{step}/loss'].mean())
        accuracy = scores.argmax(1) == torch.from_numpy(data[f'step{step}/target'])
        near(accuracy.float(), data[f'step{step}/acc'])
        near(grad, data[f'step{step}/grad_feature'])
        near(grad_weight, data[f'step{step}/grad_fc_weight'])
        assert valid.numpy().tolist() == data[f'step{step}/valid_class'].astype(bool).tolist()
    final = memory.state_dict()['class_memory'].unflatten(2, (6, 4))
    near(final, data['class_memory_final'], 0)


def test_class_memory_keeps_the_last_of_equal_labels_and_loses_nothing_in_a_checkpoint():
    memory = ClassMemoryLoss(4, channels=2, size=(2, 1))
    maps = torch.arange(12.0).reshape(3, 2, 2, 1)
    memory.remember(maps, torch.tensor([1, 3, 1]))
    state = memory.state_dict()
    assert torch.equal(state['class_memory'][1], maps[2].flatten(1))
    assert state['valid_class'].tolist() == [False, True, False, True]

    memory.remember(maps + 100, torch.tensor([0, 0, 0]))
    memory.load_state_dict(state)  # what was to be remembered belongs to the state that was replaced
    assert memory.state_dict()['valid_class'].tolist() == [False, True, False, True]


def test_class_memory_takes_up_no_map_that_is_not_finite():
    memory = ClassMemoryLoss(3, channels=2, size=(2, 1))
    maps = torch.arange(12.0).reshape(3, 2, 2, 1)
    memory.remember(maps, torch.arange(3))
    before = memory.state_dict()['class_memory'].clone()
    maps[1, 0, 0] = float('nan')
    memory.remember(maps + 1, torch.arange(3))
    after = memory.state_dict()['class_memory']
    assert [torch.equal(new, old) for new, old in zip(after, before, strict=True)] == [False, True, False]
    never = ClassMemoryLoss(3, channels=2, size=(2, 1))
    never.remember(maps, torch.arange(3))
    assert never.state_dict()['valid_class'].tolist() == [True, False, True]


def test_images_without_positive_or_negative_have_no_triplet_loss():
    scores = torch.tensor([[9.0, 1.0], [1.0, 9.0]], requires_grad=True)
    itself = torch.eye(2, dtype=torch.bool)
    for same in (itself, torch.ones(2, 2, dtype=torch.bool)):
        loss = ScoreTripletLoss()(scores, same, itself)
        (gradient,) = torch.autograd.grad(loss, scores)
        assert loss == 0 and not gradient.any()


def test_images_with_scores_that_are_not_finite_are_left_out():
    labels = torch.tensor([0, 0, 1, 1])
    same, itself = labels[:, None] == labels, torch.eye(4, dtype=torch.bool)
    scores = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    broken = scores.clone()
    broken[1, 2] = float('nan')
    broken.requires_grad_()
    for loss in (ScoreTripletLoss(), PairwiseMatchingLoss()):
        rows = [0, 2, 3]
        expected = loss(scores[rows], same[rows], itself[rows])
        found = loss(broken, same, itself)
        torch.testing.assert_close(found, expected)
        (gradient,) = torch.autograd.grad(found, broken)
        assert gradient.isfinite().all() and not gradient[1].any()
        nothing = loss(broken * float('nan'), same, itself)
        assert nothing == 0 and nothing.requires_grad


def test_a_negative_margin_is_refused():
    with pytest.raises(ValueError, match='margin=-1 of ScoreTripletLoss'):
        ScoreTripletLoss(margin=-1)
