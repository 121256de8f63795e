# Copyright (c) mmreid contributors. All rights reserved.
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn

from mmreid.engine import FreezeHook

ADAM = dict(optimizer=dict(type='Adam', lr=0.01, weight_decay=0.1))


class TwoParts(BaseModel):
    """A pretrained part with a norm, and a new one."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.head = nn.Linear(4, 2)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return dict(loss=self.head(self.backbone(torch.stack(list(inputs)))).square().mean())


class MovesHook(Hook):
    """Records which parts of the model each iteration changes, norms and their statistics included."""

    priority = 'VERY_LOW'

    def __init__(self):
        self.moves = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.before = {key: value.clone() for key, value in runner.model.state_dict().items()}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        after = runner.model.state_dict()
        self.moves.append(
            {key.split('.')[0] for key, value in self.before.items() if not torch.equal(value, after[key])}
        )


@pytest.fixture
def train(make_runner):
    def run(epochs=3, optim=ADAM, resume=False, **arguments):
        moves = MovesHook()
        runner = make_runner(
            epochs=epochs,
            checkpoint=dict(type='SafeCheckpointHook', interval=1),
            resume=resume,
            custom_hooks=[FreezeHook(**arguments), moves],
        )
        runner.model, runner.optim_wrapper = TwoParts(), optim
        runner.train()
        return runner, moves.moves

    return run


@pytest.mark.parametrize(
    ('arguments', 'frozen'),
    [(dict(end=3), 3), (dict(end=2, by_epoch=True), 4), (dict(end=0), 0), (dict(modules='backbone', end=9), 6)],
)
def test_holds_weights_and_statistics_still_and_then_lets_go(train, arguments, frozen):
    runner, moves = train(**arguments)  # three epochs of two iterations
    assert moves == [{'head'}] * frozen + [{'head', 'backbone'}] * (6 - frozen)
    assert runner.model.backbone.training == (frozen < 6)
    weight, state = runner.model.backbone[0].weight, runner.optim_wrapper.optimizer.state
    assert state.get(weight, dict(step=0))['step'] == 6 - frozen  # Adam has no moments from before


def test_inner_modules_and_accumulated_gradients(train):
    runner, moves = train(optim=dict(ADAM, accumulative_counts=2), modules=['backbone.0', 'head'], end=4)
    assert moves[:4] == [{'backbone'}] * 4  # only its norm: statistics each time, weights every second time
    assert moves[5] == {'backbone', 'head'}
    assert runner.model.backbone[0].training


def test_what_is_frozen_does_not_count_in_the_clipped_norm(train):
    runner, _ = train(epochs=1, optim=dict(ADAM, clip_grad=dict(max_norm=0.1)), end=1)
    norms = [value for value, _ in zip(*runner.message_hub.get_scalar('train/grad_norm').data, strict=True)]
    model = TwoParts()
    model.backbone.eval()
    model([torch.full((4,), float(i)) for i in range(4)])['loss'].backward()  # the first batch
    first, whole = (
        torch.cat([each.grad.flatten() for each in part.parameters()]).norm().item() for part in (model.head, model)
    )
    assert norms[0] == pytest.approx(first) and whole > 1.01 * first


def test_goes_on_after_a_resume(train):
    whole, _ = train(epochs=3, end=5)
    train(epochs=1, end=5)
    resumed, moves = train(epochs=3, resume=True, end=5)
    assert moves == [{'head'}] * 3 + [{'head', 'backbone'}]
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[key])


def test_lets_norms_go_back_to_the_mode_that_the_model_gave_them(train, monkeypatch):
    def frozen_statistics(self, mode=True):
        BaseModel.train(self, mode)
        self.backbone[1].eval()
        return self

    monkeypatch.setattr(TwoParts, 'train', frozen_statistics)
    runner, moves = train(epochs=1, end=1)
    assert moves == [{'head'}, {'head', 'backbone'}]
    assert runner.model.backbone[0].training and not runner.model.backbone[1].training


def test_refuses_what_it_cannot_freeze(train):
    with pytest.raises(ValueError, match="FreezeHook .*'backbones'.* backbone, head"):
        train(modules=['backbones'])
    with pytest.raises(ValueError, match='end=-1 of FreezeHook'):
        FreezeHook(end=-1)
