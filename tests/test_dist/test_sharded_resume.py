# Copyright (c) mmreid contributors. All rights reserved.
"""A run whose exemplar memory is divided between two processes, resumed by one."""

import shutil

import pytest
import torch
from mmengine.hooks import Hook
from test_engine.test_hooks.test_memory_update_hook import data, runner_of  # noqa: F401  a fixture
from warm_processes import run_ranks

pytestmark = [pytest.mark.dist, pytest.mark.slow]
MEMORY = 'head.memory.features'
PARTS = ('.memory-0of2', '.memory-1of2', '')


class Peek(Hook):
    """Keeps the memory as it is when the training begins."""

    def __init__(self, seen):
        self.seen = seen

    def before_train(self, runner):
        self.seen.append(runner.model.head.memory.features.clone())


def test_two_ranks_save_their_parts_and_one_goes_on(data, tmp_path):  # noqa: F811
    sharded = dict(
        model=dict(head=dict(memory=dict(sharded=True))),
        train_cfg=dict(max_epochs=3),
        default_hooks=dict(checkpoint=dict(max_keep_ckpts=2)),
    )
    cfg = runner_of(data, tmp_path / 'two', **sharded).cfg
    cfg.pop('experiment_name')
    cfg.train_dataloader.batch_size = 4
    for part in cfg.train_dataloader.batch_sampler.parts:
        part.batch_size = 2
    cfg.dump(tmp_path / 'two.py')
    run_ranks(2, 'tools/train.py', tmp_path / 'two.py', '--launcher', 'pytorch')

    names = sorted(path.name for path in (tmp_path / 'two').glob('*.pth'))
    assert names == [f'epoch_{epoch}{part}.pth' for epoch in (2, 3) for part in PARTS]  # epoch 1 is gone with all
    checkpoint = torch.load(tmp_path / 'two/epoch_3.pth', weights_only=True)
    assert MEMORY not in checkpoint['state_dict'] and checkpoint['memory_shards']['world_size'] == 2
    parts = {
        epoch: [
            torch.load(tmp_path / f'two/epoch_{epoch}{part}.pth', weights_only=True)['features'] for part in PARTS[:2]
        ]
        for epoch in (2, 3)
    }
    assert [len(part) for part in parts[3]] == [5, 5] and not torch.equal(*(torch.cat(parts[i]) for i in (2, 3)))

    one = runner_of(data, tmp_path / 'one', resume=True, load_from=str(tmp_path / 'two/epoch_3.pth'))
    seen = []
    one.register_hook(Peek(seen))
    one.train()
    assert torch.equal(seen[0], torch.cat(parts[3])) and one.epoch == 4
    assert torch.load(tmp_path / 'one/epoch_4.pth', weights_only=True)['state_dict'][MEMORY].shape == (10, 32)

    # A damaged part is as bad as a damaged checkpoint: the one before is taken.
    shutil.copytree(tmp_path / 'two', tmp_path / 'damaged')
    part = tmp_path / 'damaged/epoch_3.memory-1of2.pth'
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    before = runner_of(data, tmp_path / 'damaged', resume=True)
    before.register_hook(Peek(seen))
    before.train()
    assert torch.equal(seen[1], torch.cat(parts[2])) and before.epoch == 4

    (tmp_path / 'two/epoch_3.memory-1of2.pth').unlink()
    again = runner_of(data, tmp_path / 'again', resume=True, load_from=str(tmp_path / 'two/epoch_3.pth'))
    with pytest.raises(FileNotFoundError, match='memory-1of2.pth .*2 parts'):
        again.train()
