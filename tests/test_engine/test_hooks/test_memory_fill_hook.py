# Copyright (c) mmreid contributors. All rights reserved.
"""A memory that is filled before the training: with what, what stays as it was, and that resumed runs keep theirs."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from test_engine.test_hooks.test_memory_update_hook import MEMORY, data, runner_of  # noqa: F401
from test_engine.test_hooks.test_source_memory import SOURCE, plus
from test_tools.test_resume import assert_same

from mmreid.engine.hooks import MemoryFillHook


class Peek(Hook):
    """Keeps the weights, memories and random state with which the training begins."""

    def before_train_epoch(self, runner):
        if not hasattr(self, 'state'):
            self.state = {name: value.clone() for name, value in runner.model.state_dict().items()}
            self.random = torch.get_rng_state()


def train(data, folder, fill=True, **changes):  # noqa: F811
    runner, peek = runner_of(data, folder, **changes), Peek()
    if fill:
        runner.register_hook(dict(type='MemoryFillHook', batch_size=4))
    runner.register_hook(peek, priority='VERY_LOW')
    runner.train()
    return runner, peek


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_slots_are_the_features_of_their_images_and_all_else_is_unchanged(data, tmp_path, dtype):  # noqa: F811
    def changes():
        model = dict(head=dict(plus()['model']['head'], memory=dict(dtype=dtype)))
        return dict(plus(), train_cfg=dict(max_epochs=1), model=model)

    runner, peek = train(data, tmp_path / 'filled', **changes())
    _, plain = train(data, tmp_path / 'plain', fill=False, **changes())
    assert torch.equal(peek.random, plain.random)
    filled = {name for name, value in peek.state.items() if not torch.equal(value, plain.state[name])}
    assert filled == {MEMORY, SOURCE}

    runner.model.load_state_dict(peek.state)
    model, dataset = runner.model.eval(), runner.train_dataloader.dataset
    dataset.pipeline = runner.build_dataloader(runner.cfg.test_dataloader).dataset.pipeline
    with torch.no_grad():
        for domain, name, first in (('source', SOURCE, 0), ('target', MEMORY, 8)):
            images = [dataset[first + slot]['inputs'] for slot in range(len(peek.state[name]))]
            feats = F.normalize(model.embed(model.data_preprocessor(dict(inputs=images))['inputs'], domain).after)
            torch.testing.assert_close(peek.state[name].float(), feats, rtol=1e-3, atol=1e-3)


def test_a_resumed_run_keeps_its_memory(data, tmp_path):  # noqa: F811
    train(data, tmp_path / 'whole', train_cfg=dict(max_epochs=2))
    resume = dict(resume=True, load_from=str(tmp_path / 'whole/epoch_1.pth'), train_cfg=dict(max_epochs=2))
    train(data, tmp_path / 'parts', **resume)
    files = [torch.load(tmp_path / name / 'epoch_2.pth', weights_only=True) for name in ('whole', 'parts')]
    assert_same(files[1]['state_dict'], files[0]['state_dict'])


def test_without_a_memory_it_is_refused(data, tmp_path):  # noqa: F811
    with pytest.raises(ValueError, match='MemoryFillHook .*model.head.memory'):
        train(data, tmp_path, model=dict(head=dict(memory=dict(_delete_=True, type='MiniBatchMemory'))))
    with pytest.raises(ValueError, match='batch_size=0'):
        MemoryFillHook(batch_size=0)
