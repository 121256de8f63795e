# Copyright (c) mmreid contributors. All rights reserved.
"""A search that was killed and resumed ends bit for bit like one that was not."""

import signal
from pathlib import Path

import pytest
import torch
from test_tools.test_resume import assert_same
from test_tools.tool_runs import run
from tiny_search import search_config

IMPORTS = ['mmreid.registry', 'tiny_search', 'kill_hook']


def write_search(path: Path, work_dir: Path, at_iter: int | None = None) -> Path:
    """Writes a search of three epochs of four iterations, with random flips and noise in workers of both loaders."""
    hooks = [
        dict(type='EpochSeedHook'),
        dict(type='ArchLogHook'),
        dict(type='ArchFreezeHook', stable_epochs=9),
        dict(type='SyncNormHook'),
    ]
    pipeline = [
        dict(type='DrawPlanted'),
        dict(type='RandomFlip', prob=0.5),
        dict(type='RandomErasing', erase_prob=0.7, mode='rand'),
        dict(type='PackReIDInputs'),
    ]
    cfg = search_config(
        work_dir,
        log_level='INFO',
        model=dict(mutator=dict(relaxation='gumbel', renormalize=True)),
        train_dataloader=dict(
            batch_size=16,
            num_workers=1,
            sampler=dict(batches_per_epoch=4),
            dataset=dict(dataset=dict(images=9, cached=False, pipeline=pipeline)),
        ),
        train_cfg=dict(max_epochs=3, warmup_epochs=1, arch_dataloader=dict(sampler=dict(batches_per_epoch=3))),
        param_scheduler=dict(weights=[dict(type='StepLR', step_size=1, gamma=0.5)], arch=[]),
        default_hooks=dict(
            checkpoint=dict(type='SafeCheckpointHook', interval=1), logger=dict(type='LoggerHook', interval=1)
        ),
        custom_hooks=[*hooks, *([dict(type='KillHook', at_iter=at_iter)] if at_iter else [])],
        custom_imports=dict(imports=IMPORTS),
        runner_type='ReIDRunner',
    )
    cfg.pop('experiment_name')
    cfg.dump(path)
    return path


@pytest.mark.long
@pytest.mark.slow
def test_killed_and_resumed_search_equals_uninterrupted(tmp_path):
    run('tools/train.py', write_search(tmp_path / 'whole.py', tmp_path / 'whole'))
    killed = write_search(tmp_path / 'killed.py', tmp_path / 'parts', at_iter=10)
    assert run('tools/train.py', killed, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / 'parts/epoch_3.pth').exists() and not (tmp_path / 'parts/arch.json').exists()
    log = run('tools/train.py', write_search(tmp_path / 'resumed.py', tmp_path / 'parts'), '--resume').stdout
    assert 'resumed epoch: 2, iter: 8' in log

    files = [torch.load(tmp_path / folder / 'epoch_3.pth', weights_only=True) for folder in ('whole', 'parts')]
    assert_same(*files)
    # The comparison covers what a search adds: logits that moved, and the state of both optimizers.
    assert files[0]['state_dict']['mutator.logits'].abs().max() > 1e-3
    assert {'weights', 'arch'} == set(files[0]['optimizer']) and files[0]['optimizer']['arch']['state']
    assert (tmp_path / 'whole/arch.json').read_text() == (tmp_path / 'parts/arch.json').read_text()
