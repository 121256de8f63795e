# Copyright (c) mmreid contributors. All rights reserved.
"""Several optimizers for one loss: gradients clipped apart as torch's own clipping would, optimizers of two kinds."""

import copy

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from tiny_config import ROOT
from tiny_models import tiny_model_config
from torch import nn
from torch.nn.utils import clip_grad_norm_

from mmreid.engine import JointOptimWrapper, JointOptimWrapperConstructor
from mmreid.models import PairwiseReID
from mmreid.registry import MODELS, OPTIM_WRAPPERS
from mmreid.structures import ReIDDataSample
from mmreid.utils.config import load_config

QACONV = 'gs/qaconv-gs_resnet50-ibnb_1xb64-60e_market1501-384x128.py'
SGD = dict(type='SGD', lr=0.1, momentum=0.9)


def pairwise() -> PairwiseReID:
    torch.manual_seed(0)
    model = MODELS.build(tiny_model_config('PairwiseReID').model)
    model.init_weights()
    return model.train()


def batch_of(seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randint(0, 256, (8, 3, 64, 32), generator=generator, dtype=torch.uint8)
    samples = [ReIDDataSample(metainfo=dict(sample_idx=i)).set_gt_label(i // 2) for i in range(8)]
    return dict(inputs=inputs, data_samples=samples)


def loss_of(model, batch):
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    return model.parse_losses(losses)[0]


def weights_of(model):
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def assert_equal(found, expected, **tolerance):
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name, **tolerance)


def test_the_qaconv_schedule_clips_model_and_matcher_apart_as_torch_does():
    cfg = load_config(str(ROOT / 'configs' / QACONV)).optim_wrapper
    norms = {name: cfg[name].clip_grad.max_norm for name in ('model', 'matcher')}
    assert norms == dict(model=8.0, matcher=8.0)
    for name in norms:
        norms[name] = cfg[name].clip_grad.max_norm = 0.01  # so that both are clipped on a network this small
    model = pairwise()
    theirs = copy.deepcopy(model)
    constructor = JointOptimWrapperConstructor({key: value for key, value in cfg.items() if key != 'constructor'})
    wrapper = constructor(model)
    groups = [
        dict(params=list(theirs.backbone.parameters()), lr=5e-4),
        dict(params=list(theirs.neck.parameters())),
        dict(params=list(theirs.matcher.parameters())),
    ]
    optimizer = torch.optim.SGD(groups, lr=5e-3, momentum=0.9, nesterov=True, weight_decay=5e-4)
    parts = [[*theirs.backbone.parameters(), *theirs.neck.parameters()], list(theirs.matcher.parameters())]
    for seed in range(3):
        model.train_step(batch_of(seed), wrapper)
        optimizer.zero_grad()
        loss_of(theirs, batch_of(seed)).backward()
        for part, max_norm in zip(parts, norms.values(), strict=True):
            assert clip_grad_norm_(part, max_norm) > max_norm
        optimizer.step()
    assert_equal(weights_of(model), weights_of(theirs), rtol=1e-6, atol=1e-7)


def test_norms_of_gradients_are_logged_apart():
    model = two()
    wrapper_of(model).update_params(model(inputs_of(1)[0]))
    logged = MessageHub.get_current_instance().log_scalars
    norms = [logged[f'train/{name}.grad_norm'].current() for name in ('body', 'head')]
    assert norms[0] != norms[1] and min(norms) > 0


class Two(nn.Module):
    """Two layers whose gradients differ in size."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 3), nn.Linear(3, 1)

    def forward(self, inputs):
        return (10 * self.head(self.body(inputs))).square().mean()


def two():
    torch.manual_seed(0)
    return Two()


def wrapper_of(model, kind='OptimWrapper', **shared):
    cfg = dict(
        type=kind,
        body=dict(optimizer=SGD, clip_grad=dict(max_norm=1.0)),
        head=dict(optimizer=dict(type='Adam', lr=0.01), clip_grad=dict(max_norm=2.0), modules=['head']),
        **shared,
    )
    return JointOptimWrapperConstructor(cfg)(model)


def by_hand(model, batches):
    """Steps once for each list of batches, which are accumulated."""
    optimizers = torch.optim.SGD(model.body.parameters(), 0.1, 0.9), torch.optim.Adam(model.head.parameters(), 0.01)
    for each in batches:
        model.zero_grad()
        sum(model(inputs) / len(each) for inputs in each).backward()
        for part, max_norm in ((model.body, 1.0), (model.head, 2.0)):
            assert clip_grad_norm_(part.parameters(), max_norm) > max_norm
        for optimizer in optimizers:
            optimizer.step()
    return weights_of(model)


def inputs_of(count):
    return list(torch.randn(count, 6, 4, generator=torch.Generator().manual_seed(1)))


def test_accumulated_gradients_are_clipped_when_they_are_complete_and_the_rest_at_the_end():
    model, inputs = two(), inputs_of(5)
    wrapper = wrapper_of(model, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 5)
    for part in inputs:
        with wrapper.optim_context(model):
            loss = model(part)
        wrapper.update_params(loss)
    assert_equal(weights_of(model), by_hand(two(), [inputs[:2], inputs[2:4], inputs[4:]]), rtol=1e-5, atol=1e-6)


@OPTIM_WRAPPERS.register_module(name='ScaledOnCPU')
class ScaledOnCPU(AmpOptimWrapper):
    """The wrapper of mixed precision, which refuses to be built without a GPU, with a scaler of the CPU."""

    def __init__(self, optimizer, clip_grad=None, accumulative_counts=1):
        OptimWrapper.__init__(self, optimizer, accumulative_counts, clip_grad)
        self._scale_update_param, self.cast_dtype = None, torch.bfloat16
        self.loss_scaler = torch.amp.GradScaler('cpu', init_scale=1024.0, growth_interval=2)


def test_scaled_gradients_are_clipped_at_their_true_size_and_the_scale_changes_once_a_step():
    model, inputs = two(), inputs_of(4)
    wrapper = wrapper_of(model, kind='mmreid.ScaledOnCPU')
    assert wrapper['head'].loss_scaler is wrapper['body'].loss_scaler
    for part in inputs:
        wrapper.update_params(model(part))  # in float32: autocast would add its rounding
    assert_equal(weights_of(model), by_hand(two(), [[part] for part in inputs]), rtol=1e-5, atol=1e-6)
    assert wrapper['body'].loss_scaler.get_scale() == 4096.0  # doubled after two steps, and two more

    before = weights_of(model)
    wrapper.update_params(model(inputs[0]) * float('inf'))
    assert_equal(weights_of(model), before, rtol=0, atol=0)
    assert wrapper['body'].loss_scaler.get_scale() == 2048.0
    with wrapper.optim_context(model):
        assert model.body(inputs[0]).dtype == torch.bfloat16


@pytest.mark.parametrize('kind', ['OptimWrapper', 'mmreid.ScaledOnCPU'])
def test_its_state_continues_exactly(kind):
    inputs = inputs_of(6)
    whole, half = two(), two()
    for model, part in ((whole, inputs), (half, inputs[:3])):
        wrapper = wrapper_of(model, kind)
        for each in part:
            wrapper.update_params(model(each))
    state = copy.deepcopy(wrapper.state_dict())
    assert set(state) == {'body', 'head'}
    again = two()
    again.load_state_dict(half.state_dict())
    wrapper = wrapper_of(again, kind)
    wrapper.load_state_dict(state)
    for each in inputs[3:]:
        wrapper.update_params(again(each))
    assert_equal(weights_of(again), weights_of(whole), rtol=0, atol=0)


def test_wrappers_that_cannot_share_a_backward_pass_are_refused():
    model = two()
    parts = dict(a=OptimWrapper(torch.optim.SGD(model.body.parameters(), 0.1)))
    with pytest.raises(ValueError, match="type differs .*'b': 'ScaledOnCPU'"):
        JointOptimWrapper(**parts, b=ScaledOnCPU(torch.optim.SGD(model.head.parameters(), 0.1)))
    with pytest.raises(ValueError, match="accumulative_counts differs .*'b': 3"):
        JointOptimWrapper(**parts, b=OptimWrapper(torch.optim.SGD(model.head.parameters(), 0.1), 3))
    with pytest.raises(ValueError, match='JointOptimWrapperConstructor found no'):
        JointOptimWrapperConstructor(dict(type='OptimWrapper'))
