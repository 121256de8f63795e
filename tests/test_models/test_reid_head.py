# Copyright (c) mmreid contributors. All rights reserved.
"""Heads put together by config: several metric losses, centers, and what the optimizer does with them."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from tiny_config import tiny_config
from tiny_data import write_market

from mmreid.engine.runners import ReIDRunner
from mmreid.models import CenterLoss, CircleLoss, NeckFeatures, ReIDHead, TripletLoss, WeightedTripletLoss
from mmreid.models.losses import pair_statistics

TRIPLET = dict(type='TripletLoss', margin=0.3)
LABELS = torch.tensor([0, 0, 1, 1])


def embeddings(seed=0):
    before, after = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(seed))
    return NeckFeatures(before.requires_grad_(), after.requires_grad_())


def test_several_metric_losses_are_weighted_and_logged_by_name():
    configs = [TRIPLET, dict(type='mmreid.CircleLoss', loss_weight=0.5), dict(type='WeightedTripletLoss')]
    feats, head = embeddings(), ReIDHead(8, num_classes=2, loss_metric=configs)
    results = head.loss(feats, LABELS)
    for name, loss in dict(triplet=TripletLoss(), circle=CircleLoss(), weighted_triplet=WeightedTripletLoss()).items():
        expected = loss(feats.before, LABELS) * (0.5 if name == 'circle' else 1)
        torch.testing.assert_close(results[f'loss_{name}'], expected)
    assert {key for key in results if 'loss' in key} == {
        'loss_ce',
        'loss_triplet',
        'loss_circle',
        'loss_weighted_triplet',
    }
    assert results['active_triplets'] == pair_statistics(feats.before, LABELS, 0.3)['active_triplets']


def test_a_loss_of_the_user_may_have_a_margin_alone():
    class Mine(torch.nn.Module):
        margin = 0.3

        def forward(self, feats, labels):
            return feats.square().mean()

    results = ReIDHead(8, loss_cls=None, loss_metric=dict(type=Mine)).loss(embeddings(), LABELS)
    assert results['active_triplets'] == pair_statistics(embeddings().before, LABELS, 0.3)['active_triplets']


def test_centers_of_another_size_are_named():
    head = ReIDHead(8, num_classes=2, loss_metric=dict(type='CenterLoss'))
    feats = NeckFeatures(torch.randn(4, 6), torch.randn(4, 8))
    with pytest.raises(ValueError, match='CenterLoss .* 8, .*channels=6'):
        head.loss(feats, LABELS)


def test_two_losses_of_a_kind_have_two_names():
    head = ReIDHead(8, loss_cls=None, loss_metric=[TRIPLET, dict(type='TripletLoss', margin=None)])
    results = head.loss(embeddings(), LABELS)
    assert {'loss_triplet', 'loss_triplet_2'} < results.keys() and 'loss_metric' not in results
    assert head.only_before


def test_the_margin_of_cosines_is_not_taken_for_one_of_distances():
    feats = embeddings()
    results = ReIDHead(8, loss_cls=None, loss_metric=dict(type='CircleLoss', margin=0.9)).loss(feats, LABELS)
    assert results['active_triplets'] == pair_statistics(feats.before, LABELS)['active_triplets']


@pytest.mark.parametrize(
    ('options', 'share'), [({}, 0.5), (dict(normalize=True), 0.25), (dict(normalize=True, squared=True), 0)]
)
def test_active_triplets_are_counted_by_the_distance_of_the_loss(options, share):
    # Two identities, at 0 and 30 degrees and at 80 and 81; the second image is long, so far off in the plane. On the
    # unit circle 30 degrees are 0.52, and its square 0.27; 50 degrees are 0.85, and 0.71.
    angles = torch.tensor([0.0, 30.0, 80.0, 81.0]).deg2rad()
    points = torch.stack([angles.cos(), angles.sin()], 1) * torch.tensor([[1.0], [9.0], [1.0], [1.0]])
    loss = dict(type='TripletLoss', margin=0.4, **options)
    head = ReIDHead(2, loss_cls=None, loss_metric=loss)
    assert head.loss(NeckFeatures(points, points), LABELS)['active_triplets'] == share


def test_center_loss_gets_its_sizes_from_the_head():
    head = ReIDHead(8, num_classes=5, loss_metric=[TRIPLET, dict(type='CenterLoss')])
    assert head.loss_metric['center'].centers.shape == (5, 8)
    alone = ReIDHead(8, num_classes=5, loss_metric=dict(type='CenterLoss', num_classes=7))
    assert isinstance(alone.loss_metric, CenterLoss) and alone.loss_metric.centers.shape == (7, 8)
    total = sum(value for key, value in head.loss(embeddings(), LABELS).items() if 'loss' in key)
    total.backward()
    assert all(parameter.grad.any() for parameter in head.parameters())


@pytest.mark.parametrize('loss_metric', [dict(type='CenterLoss'), [TRIPLET, dict(type='CenterLoss')]])
def test_without_a_number_of_identities_there_are_no_centers(loss_metric):
    """As in testing, where nothing is learned."""
    head = ReIDHead(8, loss_cls=None, loss_metric=loss_metric)
    assert not list(head.parameters())
    with pytest.raises(RuntimeError, match='model.head.num_classes'):
        head.loss(embeddings(), LABELS)


def test_centers_have_a_learning_rate_of_their_own():
    """By the line that the docstring of CenterLoss shows."""
    head = ReIDHead(8, num_classes=2, loss_metric=[TRIPLET, dict(type='CenterLoss')])
    wrapper = dict(
        optimizer=dict(type='SGD', lr=0.05, weight_decay=5e-4),
        paramwise_cfg=dict(custom_keys={'centers': dict(lr_mult=10.0, decay_mult=0.0)}),
    )
    assert "custom_keys={'centers': dict(lr_mult=10.0, decay_mult=0.0)}" in CenterLoss.__doc__
    groups = build_optim_wrapper(head, wrapper).param_groups
    by_parameter = {id(group['params'][0]): (group['lr'], group['weight_decay']) for group in groups}
    assert by_parameter[id(head.loss_metric['center'].centers)] == (0.5, 0.0)
    assert by_parameter[id(head.classifier.weight)] == (0.05, 5e-4)


@pytest.mark.parametrize('optimizer, lr, follows', [('SGD', 0.5, True), ('Adam', 0.035, True), ('Adam', 0.5, False)])
def test_learning_rates_with_which_centers_follow_their_identities(optimizer, lr, follows):
    """What the docstring of CenterLoss says of Adam, on embeddings that stay where they are."""
    torch.manual_seed(0)
    means = torch.randn(50, 16)
    loss = CenterLoss(50, 16)
    steps = getattr(torch.optim, optimizer)(loss.parameters(), lr=lr)
    for _ in range(800):
        labels = torch.randperm(50)[:4].repeat_interleave(4)
        steps.zero_grad()
        loss(means[labels], labels).backward()
        steps.step()
    missed = (loss.centers - means).square().mean().sqrt()
    assert (missed < 0.2) == follows  # the means themselves are 1 apart from 0


def test_the_runner_counts_the_identities_for_the_centers(tmp_path):
    market = write_market(tmp_path / 'data')
    cfg = tiny_config('baseline/bot_resnet50_1xb64-120e_market1501-256x128.py', market, tmp_path)
    cfg.train_dataloader.sampler.batches_per_epoch = 2
    cfg.train_cfg.max_epochs = cfg.default_hooks.checkpoint.interval = 1
    cfg.model.head.update(loss_metric=[TRIPLET, dict(type='CenterLoss')], classifier=dict(type='CosFaceClassifier'))
    runner = ReIDRunner.from_cfg(cfg)
    runner.train()
    head = runner.model.head
    assert head.loss_metric['center'].centers.shape == head.classifier.weight.shape == (6, 32)
    logged = runner.message_hub.log_scalars
    assert {'train/loss_ce', 'train/loss_triplet', 'train/loss_center'} <= logged.keys()
    state = torch.load(f'{runner.work_dir}/epoch_1.pth', weights_only=True)['state_dict']
    assert torch.equal(state['head.loss_metric.center.centers'], head.loss_metric['center'].centers)


@pytest.mark.parametrize('loss_metric', [dict(margin=0.5), [dict(type='TripletLoss'), dict(margin=0.5)], 'TripletLoss'])
def test_a_metric_loss_without_a_type_is_refused(loss_metric):
    """As --cfg-options model.head.loss_metric.margin=0.5 makes it of a config without a metric loss."""
    with pytest.raises(ValueError, match='loss_metric of ReIDHead .*dict.type='):
        ReIDHead(4, num_classes=3, loss_metric=loss_metric)


def test_an_embedding_of_another_size_is_named():
    """As after a change of the backbone, or of out_channels of the neck, alone."""
    head = ReIDHead(4, num_classes=3)
    with pytest.raises(ValueError, match=' 6, .*in_channels=4.*model.head.in_channels'):
        head.loss(NeckFeatures(torch.rand(2, 6), torch.rand(2, 6)), torch.tensor([0, 1]))
