# Copyright (c) mmreid contributors. All rights reserved.
"""The search loop: which step sees what, and that no gradient of one reaches the other."""

import copy

import pytest
import torch
from mmengine.hooks import Hook
from tiny_search import build_search
from torch import nn

from mmreid.datasets.preparation.leaks import image_paths
from mmreid.engine.search.unrolled_gradient import unrolled_gradient
from mmreid.models.mutators import BNMutator

SGD = dict(
    weights=dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1)),
    arch=dict(optimizer=dict(_delete_=True, type='SGD', lr=3.0)),
)
MIXED = dict(mutator=dict(weight_paths='mixed'))
SMALL = dict(
    batch_size=16,
    sampler=dict(batches_per_epoch=3),
    batch_sampler=dict(instance_sampler=dict(num_instances=2)),
    dataset=dict(dataset=dict(num_ids=6, images=8)),
)


class Recorder(Hook):
    """Notes each forward of a run: its phase, its images, and the parameters before it."""

    def __init__(self):
        self.seen = []

    def before_train(self, runner):
        self.model = runner.model
        original = runner.model.loss

        def loss(inputs, data_samples):
            weights = {name: value.detach().clone() for name, value in self.model.named_parameters()}
            note = dict(phase=self.model.phase, paths=[sample.img_path for sample in data_samples], epoch=runner.epoch)
            self.seen.append(dict(note, weights=weights, mode=self.model.training))
            return original(inputs, data_samples)

        runner.model.loss = loss


def search(work_dir, epochs=2, warmup=1, train=None, record=True, **changes):
    """Builds a search of three iterations an epoch."""
    runner = build_search(
        work_dir,
        train_dataloader=SMALL,
        train_cfg=dict(max_epochs=epochs, warmup_epochs=warmup, **(train or {})),
        **dict(dict(optim_wrapper=SGD), **changes),
    )
    recorder = Recorder()
    if record:
        runner.register_hook(recorder)
    return runner, recorder


def test_steps_alternate_after_the_warm_up_on_two_halves(work_dir):
    runner, recorder = search(work_dir, epochs=2)
    runner.train()
    phases = [(note['epoch'], note['phase']) for note in recorder.seen]
    assert phases == [(0, 'weights')] * 3 + [(1, 'weights'), (1, 'arch')] * 3
    halves = {'weights': runner.train_dataloader.dataset, 'arch': runner.train_loop.arch_dataloader.dataset}
    halves = {name: set(image_paths(half)) for name, half in halves.items()}
    assert not halves['weights'] & halves['arch']
    assert all(set(note['paths']) <= halves[note['phase']] and note['mode'] for note in recorder.seen)
    logged = runner.message_hub.log_scalars
    assert len(logged['train/loss_triplet'].data[0]) == 6 and len(logged['train/arch_loss_mmd'].data[0]) == 3
    assert runner.model.phase == 'weights' and runner.iter == 6


def test_each_step_moves_its_own_parameters_only(work_dir):
    runner, recorder = search(work_dir, epochs=3)
    runner.train()
    notes = [*recorder.seen, dict(weights=dict(runner.model.named_parameters()))]
    for note, after in zip(notes[:-1], notes[1:], strict=True):
        before, moved = note['weights'], after['weights']
        own = {name for name in before if not torch.equal(before[name], moved[name])}
        if note['phase'] == 'arch':
            assert own == {'mutator.logits'}
        else:
            assert 'mutator.logits' not in own and 'head.classifier.weight' in own


def test_architecture_steps_take_no_gradient_of_the_weights(work_dir):
    """Which is what makes them cheaper; afterwards every weight that could be trained still can."""
    runner, _ = search(work_dir, epochs=1, warmup=0, record=False)
    trained = {name for name, value in runner.model.named_parameters() if value.requires_grad}
    parameters, seen = dict(runner.model.named_parameters()), []

    class Watch(Hook):
        def before_train(self, runner):
            arch = runner.optim_wrapper['arch']
            original = arch.step

            def step():
                seen.append({name for name, value in parameters.items() if value.grad is not None})
                original()

            arch.step = step

    runner.register_hook(Watch())
    runner.train()
    assert seen == [{'mutator.logits'}] * 3
    assert {name for name, value in parameters.items() if value.requires_grad} == trained


def test_the_architecture_steps_after_every_few_of_the_weights(work_dir):
    runner, recorder = search(work_dir, train=dict(arch_interval=2), warmup=0)
    runner.train()
    assert [note['phase'] for note in recorder.seen] == ['weights', 'weights', 'arch', 'weights'] * 2


def test_an_exhausted_arch_dataloader_begins_anew_in_another_order(work_dir):
    arch = dict(dataset=dict(part=1), sampler=dict(batches_per_epoch=1))
    runner, recorder = search(work_dir, train=dict(arch_dataloader=arch), warmup=0)
    runner.train()
    drawn = [tuple(note['paths']) for note in recorder.seen if note['phase'] == 'arch']
    assert len(set(drawn)) == len(drawn) == 6


def test_every_step_draws_paths_of_its_own(work_dir, monkeypatch):
    """Those of the warm-up too, whose epochs all count as the first for the temperature."""
    drawn, epochs = [], []
    sample, start = BNMutator.sample, BNMutator.start_epoch

    def watched(self, mixed):
        sample(self, mixed)
        if not mixed and self._draw is not None:
            drawn.append(tuple(self._draw.tolist()))

    monkeypatch.setattr(BNMutator, 'sample', watched)
    monkeypatch.setattr(
        BNMutator, 'start_epoch', lambda self, epoch, seed: (epochs.append(epoch), start(self, epoch, seed))[1]
    )
    runner, _ = search(work_dir, epochs=4, warmup=3, model=dict(mutator=dict(weight_paths='sampled')))
    runner.train()
    assert len(set(drawn)) == len(drawn) == 4 * len(runner.train_dataloader)
    assert epochs[-4:] == [0, 0, 0, 0]


def written_out(work_dir, start, joint):
    """Three iterations by torch.autograd.grad, which leaves no gradient behind."""
    runner, _ = search(work_dir, epochs=1, warmup=0, record=False)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    loop, model = runner.train_loop, runner.model
    model.load_state_dict(start, strict=False)
    model.train()
    weights = [value for name, value in model.named_parameters() if value.requires_grad and 'mutator' not in name]
    arch_batches = loop._batches_of_epoch()
    model.mutator.start_epoch(0, seed=[runner.seed, 0])

    def gradients(batch, phase, wanted):
        model.phase = phase
        model.mutator.sample(mixed=joint or phase == 'arch')
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
        return torch.autograd.grad(sum(value for key, value in losses.items() if 'loss' in key), wanted)

    runner.train_dataloader.batch_sampler.sampler.set_epoch(0)
    for batch in runner.train_dataloader:
        if joint:
            *found, of_arch = gradients(batch, 'weights', [*weights, model.mutator.logits])
        else:
            found = gradients(batch, 'weights', weights)
        with torch.no_grad():
            for value, gradient in zip(weights, found, strict=True):
                value -= 0.1 * gradient
        if not joint:
            of_arch = gradients(next(arch_batches), 'arch', [model.mutator.logits])[0]
        with torch.no_grad():
            model.mutator.logits -= 3.0 * of_arch * min(1, 5 / of_arch.norm())
    return model.state_dict()


@pytest.mark.parametrize('joint', [False, True])
def test_equals_the_steps_written_out(work_dir, joint):
    train = dict(bilevel=False, arch_dataloader=None) if joint else None
    runner, recorder = search(work_dir, epochs=1, warmup=0, train=train)
    actual = runner.train().state_dict()
    expected = written_out(work_dir, recorder.seen[0]['weights'], joint)
    assert actual['mutator.logits'].abs().max() > 1e-3
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, msg=lambda text, name=name: f'{name}: {text}')


class Toy(nn.Module):
    """A loss whose mixed second derivatives are known to autograd."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.w = nn.Parameter(torch.randn(4, generator=generator, dtype=torch.float64))
        self.a = nn.Parameter(torch.randn(3, 2, generator=generator, dtype=torch.float64))
        self.register_buffer('count', torch.zeros(()))
        self.mixing = torch.randn(6, 4, generator=generator, dtype=torch.float64)

    def loss(self, scale, w=None):
        self.count += 1
        w = self.w if w is None else w
        return torch.sin(self.mixing @ w * scale).mul(self.a.flatten()).sum() + w.pow(4).sum() * scale


def test_second_order_gradient_is_that_of_the_unrolled_step():
    toy, rate = Toy(), 0.05
    (slope,) = torch.autograd.grad(toy.loss(0.7), toy.w, create_graph=True)
    (expected,) = torch.autograd.grad(toy.loss(1.3, toy.w - rate * slope), toy.a)
    (first_order,) = torch.autograd.grad(toy.loss(1.3), toy.a)
    toy.count.zero_()
    before = copy.deepcopy(toy.state_dict())
    logs = unrolled_gradient(
        lambda: (toy.loss(0.7), {}),
        lambda: (toy.loss(1.3), dict(loss=1)),
        toy.a,
        [dict(params=[toy.w], lr=rate)],
        list(toy.buffers()),
    )
    assert logs == dict(loss=1) and toy.w.grad is None
    assert all(torch.equal(toy.state_dict()[name], value) for name, value in before.items())
    torch.testing.assert_close(toy.a.grad, expected, rtol=1e-4, atol=1e-6)
    assert (first_order - expected).abs().max() > 1e-2


def test_second_order_search_runs_and_differs_from_first_order(work_dir):
    logits = {}
    for order in ('first', 'second'):
        torch.manual_seed(0)
        runner, recorder = search(work_dir, epochs=1, warmup=0, train=dict(order=order), model=MIXED)
        logits[order] = runner.train().mutator.logits.detach()
    phases = [note['phase'] for note in recorder.seen]
    assert phases == ['weights', 'weights', 'arch', 'weights', 'weights'] * 3
    change = (logits['second'] - logits['first']).abs().max()
    assert 0 < change < logits['first'].abs().max()


def test_gumbel_noise_cools_with_the_epochs_and_is_drawn_in_each_step(work_dir):
    mutator = dict(type='BNMutator', relaxation='gumbel', temperature=2.0, temperature_decay=0.5, renormalize=True)
    runner, recorder = search(work_dir, epochs=3, model=dict(mutator=mutator))
    runner.train()
    mutator = runner.model.mutator
    assert mutator.epoch == 1  # the warm-up does not count
    torch.testing.assert_close(mutator.logits.exp().sum(1), torch.ones(4))
    mixed = []
    for _ in range(2):
        mutator.sample(mixed=True)
        mutator.mix()
        mixed.append(torch.stack([norm.weights for norm in runner.model.backbone.norms]))
    assert not torch.equal(*mixed)
    expected = torch.softmax((mutator.logits + mutator._noise.float()) / 1.0, 1)
    torch.testing.assert_close(mixed[1], expected)
    runner.model.eval()
    mutator.mix()
    torch.testing.assert_close(runner.model.backbone.norms[0].weights, mutator.probabilities()[0])


def test_weights_are_trained_on_single_paths_and_the_architecture_on_the_mixture(work_dir):
    runner, _ = search(work_dir, epochs=2, warmup=0, record=False)
    mutator, seen = runner.model.mutator, {'weights': [], 'arch': []}
    original = runner.model.loss

    def loss(*batch):
        losses = original(*batch)
        seen[runner.model.phase].append(torch.stack([norm.weights.detach() for norm in runner.model.backbone.norms]))
        return losses

    runner.model.loss = loss
    runner.train()
    paths, mixtures = (torch.stack(seen[phase]) for phase in ('weights', 'arch'))
    assert set(paths.flatten().tolist()) == {0.0, 1.0} and len(torch.unique(paths, dim=0)) > 1
    assert ((mixtures > 0) & (mixtures < 1)).all()
    mutator.logits.data[:] = torch.tensor([[9.0, -9.0], [-9.0, 9.0], [9.0, -9.0], [-9.0, 9.0]])
    mutator.sample(mixed=False)
    mutator.mix()
    assert [int(norm.weights[0]) for norm in runner.model.backbone.norms] == [1, 0, 1, 0]


def test_a_copy_of_a_searched_model_mixes_its_own_norms(work_dir):
    runner, _ = search(work_dir, epochs=1, warmup=0, record=False)
    model = runner.train()
    twin = copy.deepcopy(model)
    twin.mutator.logits.data[0] = torch.tensor([5.0, -5.0])
    twin.mutator.sample(mixed=True)
    twin.mutator.mix()
    model.mutator.sample(mixed=True)
    model.mutator.mix()
    assert twin.backbone.norms[0].weights[0] > 0.99 > model.backbone.norms[0].weights[0]


def test_frozen_choices_end_the_architecture_steps(work_dir):
    runner, recorder = search(work_dir, epochs=2, warmup=0)
    runner.model.mutator.freeze()
    runner.train()
    assert {note['phase'] for note in recorder.seen} == {'weights'}
    assert torch.equal(runner.model.mutator.logits, torch.zeros(4, 2))
    other, _ = search(work_dir, record=False)
    other.model.load_state_dict(runner.model.state_dict())
    assert other.model.mutator.frozen


@pytest.mark.parametrize(
    ('train', 'message'),
    [
        (dict(arch_dataloader=None), 'ArchSearchLoop .*arch_dataloader=dict'),
        (dict(bilevel=False), 'bilevel=False .*arch_dataloader=None'),
        (dict(bilevel=False, order='second', arch_dataloader=None), "order='second' .*bilevel=False"),
        (dict(order='third'), "order='third'"),
        (dict(order='second'), "order='second' .*weight_paths='mixed'"),
        (dict(warmup_epochs=4), 'warmup_epochs=4 .*max_epochs=4'),
        (dict(warmup_epochs=1.5), r'warmup_epochs of ArchSearchLoop=1\.5'),
        (dict(warmup_epochs=1.0), 'warmup_epochs=4 .*max_epochs=4'),
        (dict(arch_interval=0), 'arch_interval=0'),
        (dict(arch_dataloader=dict(dataset=dict(dataset=dict(num_ids=11)))), '12 identities .* 11, .*pid 11'),
    ],
)
def test_refuses_settings(work_dir, train, message):
    with pytest.raises(ValueError, match=message):
        build_search(work_dir, train_cfg=train).train()


def test_refuses_other_optimizers_and_models(work_dir):
    adam = dict(type='Adam', lr=0.1)
    multi = dict(constructor='MultiOptimWrapperConstructor', _delete_=True)
    arch = dict(optimizer=adam, modules=['mutator'])
    for wrappers, message in (
        (dict(_delete_=True, optimizer=adam), "'weights' and 'arch', .*optim_wrapper has one"),
        (dict(multi, theta=dict(optimizer=adam), arch=arch), 'optim_wrapper has theta, arch'),
        (
            dict(multi, weights=dict(optimizer=adam), arch=dict(arch, modules=['mutator', 'neck'])),
            "optim_wrapper.arch .*modules=.'mutator'",
        ),
        (
            dict(multi, weights=dict(optimizer=adam, accumulative_counts=2), arch=arch),
            'optim_wrapper.weights .* 2 .*accumulative_counts=1',
        ),
    ):
        with pytest.raises(ValueError, match=message):
            build_search(work_dir, optim_wrapper=wrappers).train()
    plain = dict(_delete_=True, optimizer=adam)
    with pytest.raises(ValueError, match="arch_losses has 'ce' .*weight_losses"):
        build_search(work_dir, model=dict(head=dict(weight_losses=('triplet',)))).train()
    with pytest.raises(ValueError, match='ArchSearchLoop .*CrossModalReID.*mutator='):
        build_search(work_dir, model=dict(mutator=None), optim_wrapper=plain).train()


def test_warns_of_images_on_both_sides(work_dir, mmreid_log):
    runner, _ = search(work_dir, train=dict(arch_dataloader=dict(dataset=dict(part=0))))
    runner.logger.addHandler(mmreid_log.handler)
    runner.train()
    assert '48 of 48 images' in mmreid_log.text


def test_a_batch_of_one_modality_is_refused(work_dir):
    plain = dict(type='KInstanceSampler', num_instances=2)
    changes = dict(SMALL, batch_sampler=dict(instance_sampler=plain), dataset=dict(dataset=dict(num_ids=12, images=8)))
    with pytest.raises(ValueError, match='CrossModalityInstanceSampler'):
        build_search(work_dir, train_dataloader=dict(changes, batch_size=2)).train()
