# Copyright (c) mmreid contributors. All rights reserved.
"""What a search logs, when it fixes its choices, and the files that it leaves behind."""

import json
import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from tiny_search import build_search, search_config

from mmreid.engine.hooks.arch_log_hook import arch_scalars, arch_table, stage_of
from mmreid.models.mutators import BNMutator
from mmreid.registry import MODELS
from mmreid.utils.arch_io import load_arch, official_order, read_switch_line
from mmreid.utils.load_report import load_weights

STILL = dict(arch=dict(optimizer=dict(lr=0.0)))  # nothing moves the logits, so all norms stay shared
NORMS = ('norms.0', 'norms.1', 'norms.2', 'norms.3')


def search(work_dir, hook, epochs=4, **changes):
    """Builds a search of one iteration an epoch, the first epoch of which is warm-up."""
    hooks = [dict(type='EpochSeedHook'), dict(type='ArchFreezeHook', **hook), dict(type='ArchLogHook')]
    return build_search(
        work_dir,
        train_dataloader=dict(batch_size=16, sampler=dict(batches_per_epoch=1)),
        train_cfg=dict(max_epochs=epochs),
        custom_hooks=hooks,
        **changes,
    )


def test_choices_are_fixed_at_an_epoch_and_the_weights_go_on(work_dir):
    runner = search(work_dir, dict(at_epoch=2))
    seen = []
    original = runner.train_loop.run_iter

    def run_iter(idx, batch):
        before = {name: value.clone() for name, value in runner.model.named_parameters()}
        original(idx, batch)
        after = dict(runner.model.named_parameters())
        moved = {name for name in after if not torch.equal(before[name], after[name])}
        seen.append((runner.model.mutator.frozen, 'mutator.logits' in moved, 'head.classifier.weight' in moved))

    runner.train_loop.run_iter = run_iter
    names = [name for name, _ in runner.model.named_parameters()]
    runner.train()
    assert seen == [(False, False, True), (False, True, True), (True, False, True), (True, False, True)]
    assert [name for name, _ in runner.model.named_parameters()] == names  # nothing was pruned
    weights = torch.stack([norm.weights for norm in runner.model.backbone.norms])
    assert set(weights.flatten().tolist()) == {0.0, 1.0}


def test_stops_when_the_choices_are_stable(work_dir):
    runner = search(work_dir, dict(stable_epochs=2, stop_training=True), epochs=9, optim_wrapper=STILL)
    runner.train()
    assert runner.epoch == 4  # a warm-up epoch, one to compare with, two without a change
    assert runner.model.mutator.frozen
    assert runner.message_hub.get_info('arch_stability') == dict(choices=' '.join(['share'] * 4), epochs=2)


def test_a_change_begins_the_count_anew(work_dir):
    runner = search(work_dir, dict(stable_epochs=2, stop_training=True), epochs=9, optim_wrapper=STILL)

    def flip(idx, batch, original=runner.train_loop.run_iter):
        original(idx, batch)
        if runner.epoch == 2:
            runner.model.mutator.logits.data[1] = torch.tensor([1.0, 0.0])

    runner.train_loop.run_iter = flip
    runner.train()
    assert runner.epoch == 5 and list(runner.model.mutator.choices().values()).count('split') == 1


@pytest.fixture
def searched(work_dir, tmp_path):
    """A finished search with one split norm, and the folder of its run."""
    runner = search(work_dir, dict(), epochs=2)
    original = runner.train_loop.run_iter

    def run_iter(idx, batch):
        original(idx, batch)
        runner.model.mutator.logits.data[:] = torch.tensor([[0.0, 1.0], [0.0, 0.0], [2.0, 0.0], [0.0, 1.0]])

    runner.train_loop.run_iter = run_iter
    runner.train()
    return runner, runner.work_dir


def test_files_at_the_end(searched):
    runner, folder = searched
    arch = load_arch(f'{folder}/arch.json')
    expected = dict.fromkeys(NORMS, 'share') | {'norms.2': 'split'}
    assert arch.norms == expected == runner.model.mutator.choices() and not runner.model.mutator.frozen
    assert arch.backbone == dict(type='PlantedNet')
    assert arch.split_probability['norms.2'] == pytest.approx(1 / (1 + math.exp(-2)))
    assert Config.fromfile(f'{folder}/arch_config.py').arch == dict(expected, _delete_=True)
    with open(f'{folder}/arch.png', 'rb') as file:
        assert file.read(4) == b'\x89PNG'


def test_pruned_weights_fit_and_give_the_features_of_the_fixed_network(searched, work_dir):
    runner, folder = searched
    pruned = torch.load(f'{folder}/pruned.pth', weights_only=True)
    assert pruned['meta']['arch'] == runner.model.mutator.choices() and pruned['meta']['epoch'] == 2
    cfg = search_config(work_dir).model
    cfg.pop('mutator')
    cfg.head.num_classes = 12
    model = MODELS.build(dict(cfg, arch=f'{folder}/arch.json'))
    report = load_weights(model, pruned)
    assert report.is_exact, report
    batch = next(iter(runner.train_dataloader))
    runner.model.mutator.freeze()
    features = []
    for network in (runner.model, model):
        network.eval()
        data = network.data_preprocessor(batch)
        features.append(network.extract_feat(data['inputs'], data['data_samples']).detach())
    torch.testing.assert_close(*features, rtol=1e-4, atol=1e-5)
    assert features[0].std() > 0.01


def test_a_resnet_gets_the_official_line(work_dir):
    changes = dict(
        model=dict(
            backbone=dict(
                _delete_=True, type='ResNet', depth=18, base_channels=4, out_indices=(3,),
                norm_cfg=dict(type='mmreid.BranchBN2d'),
            ),
            neck=dict(in_channels=32), head=dict(in_channels=32),
        )
    )  # fmt: skip
    runner = search(work_dir, dict(), epochs=2, **changes)
    runner.train()
    choices = runner.model.mutator.choices()
    assert len(choices) == 21 and read_switch_line(f'{runner.work_dir}/config.cfg', choices) == {
        name: choices[name] for name in official_order(choices)
    }


def test_a_finished_search_is_not_resumed_past_its_end(work_dir, mmreid_log):
    runner = search(work_dir, dict(at_epoch=2, stop_training=True))
    runner.model.mutator.freeze()
    runner.logger.addHandler(mmreid_log.handler)
    runner.train()
    assert runner.epoch == 0 and 'stop_training=True of ArchFreezeHook' in mmreid_log.text


@pytest.mark.parametrize(
    ('hook', 'message'),
    [
        (dict(at_epoch=0), 'at_epoch=0'),
        (dict(stable_epochs=0), 'stable_epochs=0'),
        (dict(stop_training=True), 'stop_training=True .*at_epoch .*stable_epochs'),
        (dict(at_epoch=1), 'at_epoch=1 .* 1 warm-up .*max_epochs=4'),
        (dict(at_epoch=5), 'at_epoch=5 .*max_epochs=4'),
    ],
)
def test_refusals(work_dir, hook, message):
    with pytest.raises(ValueError, match=message):
        search(work_dir, hook).train()


def mutator_with(logits, names):
    mutator = BNMutator()
    mutator.names = names
    mutator.logits = torch.nn.Parameter(torch.tensor(logits))
    return mutator


def test_log_shows_logits_entropy_shares_and_architecture():
    names = ['bn1', 'layer1.0.bn1', 'layer1.0.bn2', 'layer1.0.downsample.1', 'layer2.0.bn1']
    mutator = mutator_with([[0.0, 0.0], [3.0, 0.0], [0.1, 0.0], [0.0, 2.0], [0.0, 1.0]], names)
    lines = [[cell.strip() for cell in line.split('|')[1:-1]] for line in arch_table(mutator).splitlines()[3:-1]]
    assert lines[0] == ['bn1', '1.00', '1.000', '+0.00 .. +0.00', '~']
    assert lines[1][0::3] == ['layer1', '-2.00 .. +3.00'] and lines[1][4] == 'Ss-'
    assert lines[-1][:2] == ['all', '0.60']
    scalars = arch_scalars(mutator)
    assert scalars['arch/share_ratio'] == 0.6 and scalars['arch/share_ratio/layer1'] == pytest.approx(1 / 3)
    assert scalars['arch/p_split/bn1'] == 0.5 and scalars['arch/entropy/bn1'] == pytest.approx(1)
    assert scalars['arch/entropy'] < 1


def test_stages():
    assert [stage_of(name) for name in ('bn1', 'layer3.11.bn2', 'stages.2.5.norm', 'downsample_layers.1.0')] == [
        'bn1', 'layer3', 'stages.2', 'downsample_layers',
    ]  # fmt: skip


def test_each_epoch_is_logged(work_dir):
    runner = search(
        work_dir,
        dict(),
        epochs=2,
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
        log_level='INFO',
    )
    runner.train()
    rows = [json.loads(line) for line in (next(Path(work_dir).rglob('scalars.json'))).read_text().splitlines()]
    steps = [row['step'] for row in rows if 'arch/entropy' in row]
    assert steps == [1, 2] and 'arch/p_split/norms.3' in rows[-1]
    log = ''.join(path.read_text() for path in Path(work_dir).rglob('*.log'))
    assert log.count('| stage') == 2 and 'architecture after epoch 2' in log
