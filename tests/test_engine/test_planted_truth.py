# Copyright (c) mmreid contributors. All rights reserved.
"""The search finds where the modalities differ, and finds nothing where they do not.

Before one norm of a network with frozen random convolutions, the infrared images get a gain and a level. A norm for
each modality removes both; a shared one keeps them, and the same person looks different to all later layers. The search
notices because its weights are trained on single paths: on the mixture, they adapt to it and the gradient of the
architecture fades. If the modality labels are shuffled, both blocks of a batch hold the same mixture. Separate norms
then only follow the random number of infrared images in each block, and shared statistics are better, because they use
twice as many images.
"""

from pathlib import Path

import pytest
import torch
from tiny_search import InThisProcess, build_search, short_search_config

from mmreid.engine import ReIDRunner
from mmreid.engine.search import short_training_search_loop
from mmreid.utils.arch_io import load_arch

PLANTED = 1
SEEDS = range(5)


def search(work_dir, seed, shuffled):
    """Searches with the losses and optimizers of CM-NAS; returns the split probabilities and a report."""
    runner = build_search(
        work_dir,
        randomness=dict(seed=seed),
        model=dict(backbone=dict(planted=PLANTED)),
        train_dataloader=dict(
            sampler=dict(batches_per_epoch=20), dataset=dict(dataset=dict(shuffled=seed if shuffled else None))
        ),
    )
    mutator = runner.train().mutator
    logits, entropy = mutator.logits.detach(), mutator.entropy().detach()
    rows = ', '.join(
        f'{split:+.2f}/{share:+.2f} ({bits:.2f})' for (split, share), bits in zip(logits, entropy, strict=True)
    )
    return list(mutator.choices().values()), mutator.probabilities()[:, 0], f'seed {seed}: {rows}'


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize('shuffled', [False, True])
def test_splits_where_infrared_is_shifted_unless_the_labels_are_shuffled(work_dir, shuffled):
    found = [search(work_dir, seed, shuffled) for seed in SEEDS]
    report = 'logits of split/share (entropy in bits) of each norm\n' + '\n'.join(text for *_, text in found)
    states = [choices[PLANTED] for choices, *_ in found]
    assert states == ['share' if shuffled else 'split'] * len(SEEDS), report
    # Later norms still see the rest of the difference, so single seeds may split them just as surely.
    if not shuffled:
        assert int(torch.stack([p_split for _, p_split, _ in found]).mean(0).argmax()) == PLANTED, report
    print(report)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize('shuffled', [False, True])
@pytest.mark.parametrize('seed', SEEDS)
def test_short_trainings_find_it_unless_the_labels_are_shuffled(work_dir, monkeypatch, seed, shuffled):
    monkeypatch.setattr(short_training_search_loop, 'SideProcess', InThisProcess)
    # Six people are held out at a time; with four, chance is as large as what is planted.
    images = dict(num_ids=18, images=6, shuffled=seed if shuffled else None)
    cfg = short_search_config(
        work_dir,
        randomness=dict(seed=seed),
        model=dict(backbone=dict(planted=PLANTED)),
        train_dataloader=dict(batch_size=32, dataset=dict(dataset=images)),
        val_dataloader=dict(dataset=dict(dataset=images)),
        train_cfg=dict(
            blocks=dict(_delete_=True, before='norms.0', planted=f'norms.{PLANTED}', behind=['norms.2', 'norms.3']),
            rounds=[dict(epochs=3, folds=3, new=8)],
        ),
    )
    ReIDRunner.from_cfg(cfg).train()
    norms = list(load_arch(Path(work_dir) / 'arch.json').norms.values())
    if shuffled:
        assert set(norms) == {'share'}
    else:
        assert norms[PLANTED] == 'split'
