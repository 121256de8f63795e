# Copyright (c) mmreid contributors. All rights reserved.
"""The norms alone: what each state computes, and which backbones they stand in."""

import copy
import pickle

import pytest
import torch
from mmengine.model import ExponentialMovingAverage, convert_sync_batchnorm, revert_sync_batchnorm
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from mmreid.models import (
    BranchBN2d,
    BranchContext,
    BranchLN,
    BranchLN2d,
    BranchNorm,
    apply_arch,
    attach_branches,
    branch_norms,
    resolve_arch,
)
from mmreid.registry import MODELS
from mmreid.utils.load_report import load_weights

BN, LN, LN2D = (dict(type=f'mmreid.Branch{name}') for name in ('BN2d', 'LN', 'LN2d'))
MODALITIES = ('visible', 'infrared')
BLOCKS = [(3, 5), (8, 0), (0, 8)]
# Input and a plain norm of the same kind.
KINDS = {
    BranchBN2d: ((8, 6, 5, 4), lambda: nn.BatchNorm2d(6)),
    BranchLN: ((8, 5, 6), lambda: nn.LayerNorm(6)),
    BranchLN2d: ((8, 6, 5, 4), lambda: MODELS.build(dict(type='mmpretrain.LN2d', num_channels=6))),
}


def randomize(module):
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.5)


def norm_in(kind, mode, blocks, weights=(0.3, 0.7), dtype=torch.float64, branches=MODALITIES):
    """A norm whose branches differ, told that a batch of these blocks runs."""
    torch.manual_seed(0)
    norm = kind(6, mode, branches=branches).to(dtype)
    randomize(norm)
    norm.attach(BranchContext(branches))
    norm.context.set_blocks(*blocks)
    norm.weights = torch.tensor(weights, dtype=dtype, requires_grad=True)
    return norm


def trace(forward, norm, shape, dtype=torch.float64):
    """Output and gradients of a forward on a fixed input."""
    generator = torch.Generator().manual_seed(1)
    x, pull = (torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for _ in range(2))
    x = (2 * x + 1).requires_grad_()
    y = forward(x)
    y.backward(pull)
    grads = {name: p.grad for name, p in norm.named_parameters() if p.grad is not None}
    return dict(y=y, x=x.grad, weights=norm.weights.grad, **grads, **dict(norm.named_buffers()))


def by_definition(norm, blocks, mode):
    """What the state means, made of whole plain norms."""
    plain = {name: MODELS.build(dict(type='mmpretrain.LN2d', num_channels=6)) for name in dict(norm.named_children())}
    for name, branch in norm.named_children():
        if not isinstance(norm, BranchLN2d):
            plain[name] = branch
            continue
        plain[name].weight, plain[name].bias, plain[name].eps = branch.weight, branch.bias, branch.eps

    def split(x):
        parts = zip(norm.context.names, x.split(blocks), strict=True)
        return torch.cat([plain[name](part) for name, part in parts if len(part)])

    if mode == 'share':
        return lambda x: plain['share'](x)
    if mode == 'split':
        return split
    return lambda x: norm.weights[0] * split(x) + norm.weights[1] * plain['share'](x)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('blocks', BLOCKS)
@pytest.mark.parametrize('mode', ['share', 'split', 'search'])
@pytest.mark.parametrize('kind', KINDS)
def test_each_state_is_what_it_means(kind, mode, blocks, training):
    """Outputs, gradients and running statistics of plain norms, in double precision."""
    norm = norm_in(kind, mode, blocks).train(training)
    meant = copy.deepcopy(norm)
    meant.weights = norm.weights.detach().clone().requires_grad_()
    found = trace(norm, norm, KINDS[kind][0])
    expected = trace(by_definition(meant, blocks, mode), meant, KINDS[kind][0])
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-10, msg=lambda m, name=name: f'{name}: {m}')


def test_the_gradient_of_the_searched_norm_is_that_of_its_output():
    norm = norm_in(BranchBN2d, 'search', (2, 3))
    x = torch.randn(5, 6, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: norm(x), (x, norm.weights, *norm.parameters()))


@pytest.mark.parametrize('mode', ['share', 'split', 'search'])
def test_mixed_precision(mode):
    """Inputs in bfloat16, as convolutions give them under autocast."""
    found, expected = (norm_in(BranchBN2d, mode, (3, 5), dtype=torch.float32) for _ in range(2))
    with torch.autocast('cpu', torch.bfloat16):
        low = trace(found, found, (8, 6, 5, 4), torch.bfloat16)
    high = trace(expected, expected, (8, 6, 5, 4), torch.float32)
    assert low['y'].dtype == low['x'].dtype == torch.bfloat16
    for name, value in high.items():
        if value is not None:
            scale = value.abs().max()
            assert (low[name].float() - value).abs().max() <= 0.02 * scale, name


def test_momentum_none_averages_all_batches():
    norm = BranchBN2d(6, 'search', MODALITIES, momentum=None)
    norm.attach(BranchContext(MODALITIES))
    norm.weights = torch.tensor([0.5, 0.5])
    norm.context.set_blocks(4, 4)
    batches = torch.randn(3, 8, 6, 2, 2)
    for x in batches:
        norm(x)
    torch.testing.assert_close(norm.share.running_mean, batches.mean((0, 1, 3, 4)))
    torch.testing.assert_close(norm.infrared.running_mean, batches[:, 4:].mean((0, 1, 3, 4)))


@pytest.mark.parametrize('without', ['affine', 'track_running_stats'])
def test_batch_norms_without_scale_or_statistics_can_be_searched(without):
    norm = BranchBN2d(6, 'search', MODALITIES, **{without: False})
    norm.attach(BranchContext(MODALITIES))
    norm.weights = torch.tensor([0.3, 0.7])
    norm.context.set_blocks(3, 5)
    x = torch.randn(8, 6, 5, 4)
    torch.testing.assert_close(norm(x), by_definition(norm, (3, 5), 'search')(x))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('mode', ['split', 'search'])
def test_no_or_another_batch_is_refused(kind, mode):
    x = torch.randn(*KINDS[kind][0])
    norm = norm_in(kind, mode, (3, 5), dtype=torch.float32)
    with pytest.raises(RuntimeError, match='7 rows.* 3 visible .*5 infrared'):
        norm(x[:7])
    norm.context.clear()
    with pytest.raises(RuntimeError, match=r'set_blocks\(\).*visible, infrared'):
        norm(x)
    norm.context = None
    with pytest.raises(RuntimeError, match=f"{kind.__name__} .*'{mode}' .*CrossModalReID"):
        norm(x)


def test_search_without_weights_or_with_one_value_is_refused():
    norm = norm_in(BranchBN2d, 'search', (1, 2), dtype=torch.float32)
    with pytest.raises(ValueError, match=r'\(3, 6, 1, 1\)'):
        norm(torch.randn(3, 6, 1, 1))
    norm.weights = None
    with pytest.raises(RuntimeError, match="BranchBN2d .*'search' .*mutator"):
        norm(torch.randn(3, 6, 2, 2))


def test_context_refuses_empty_batches_and_unknown_branches():
    context = BranchContext(MODALITIES)
    with pytest.raises(ValueError, match='0 images .*visible or infrared'):
        context.set_blocks(0, 0)
    with pytest.raises(ValueError, match="branch='thermal' .*visible, infrared"):
        context.set_only('thermal')
    with pytest.raises(ValueError, match="mode='both' "):
        BranchBN2d(6, 'both')


def test_any_batch_size_with_only_one_modality():
    norm = norm_in(BranchBN2d, 'split', (3, 5), dtype=torch.float32).eval()
    x = torch.randn(2, 6, 3, 3)
    for modality in ('visible', 'infrared'):
        norm.context.set_only(modality)
        torch.testing.assert_close(norm(x), getattr(norm, modality)(x))


def test_a_changed_state_keeps_what_it_can():
    norm = BranchBN2d(6, branches=MODALITIES)
    randomize(norm)
    learned = norm.share.weight.detach().clone()
    norm.set_mode('search')
    assert all(torch.equal(branch.weight, learned) for branch in norm.branches)
    norm.visible.weight.data += 1
    norm.set_mode('split')
    assert sorted(dict(norm.named_children())) == ['infrared', 'visible']
    torch.testing.assert_close(norm.visible.weight, learned + 1)


def test_copies_after_a_step():
    """EMA, deepcopy and pickle of a norm that has weights with a graph; a copy has its own context."""
    model = nn.Sequential(norm_in(BranchBN2d, 'search', (3, 5), dtype=torch.float32))
    model[0].weights = model[0].weights * 1
    model(torch.randn(8, 6, 2, 2))
    for copied in (copy.deepcopy(model), ExponentialMovingAverage(model).module, pickle.loads(pickle.dumps(model))):
        assert copied[0].weights is None and model[0].weights is not None
        copied[0].context.set_only('visible')
        assert model[0].context.only is None
        assert copied.state_dict().keys() == model.state_dict().keys()


def test_ema_averages_every_branch():
    model = norm_in(BranchBN2d, 'split', (3, 5), dtype=torch.float32)
    start = copy.deepcopy(model.state_dict())
    averaged = ExponentialMovingAverage(model, momentum=0.25, update_buffers=True)
    randomize(model)
    averaged.update_parameters(model)  # the first one copies
    randomize(model)
    averaged.update_parameters(model)
    for branch in ('visible', 'infrared'):
        assert not torch.equal(averaged.module.state_dict()[f'{branch}.weight'], start[f'{branch}.weight'])
    averaged.module.context.set_only('infrared')
    averaged.module(torch.randn(4, 6, 2, 2))


@pytest.mark.parametrize('convert', [nn.SyncBatchNorm.convert_sync_batchnorm, lambda m: convert_sync_batchnorm(m)])
@pytest.mark.parametrize('mode', ['split', 'search'])
def test_batch_norm_over_ranks(convert, mode):
    """Every branch is converted; such norms run on GPUs only, so the rest is checked in eval mode."""
    norm = norm_in(BranchBN2d, mode, (3, 5), dtype=torch.float32).eval()
    x = torch.randn(8, 6, 2, 2)
    expected = norm(x)
    converted = convert(nn.Sequential(norm)).eval()
    branches = converted[0].branches
    assert len(branches) == dict(split=2, search=3)[mode]
    assert all(isinstance(branch, nn.SyncBatchNorm) for branch in branches)
    torch.testing.assert_close(converted(x), expected)
    reverted = revert_sync_batchnorm(converted)
    assert not any(isinstance(branch, nn.SyncBatchNorm) for branch in reverted[0].branches)


@pytest.mark.parametrize('mode', ['split', 'search'])
def test_compiled_norms_give_the_same(mode):
    shape = (8, 6, 5, 4)
    norm = norm_in(BranchBN2d, mode, (3, 5), dtype=torch.float32)
    other = copy.deepcopy(norm)
    other.weights = norm.weights.detach().clone().requires_grad_()
    expected = trace(norm, norm, shape, torch.float32)
    found = trace(torch.compile(other, backend='aot_eager', fullgraph=True), other, shape, torch.float32)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


# Backbone, the same with plain norms, and its number of norms.
FAMILIES = {
    # stem + 8 blocks of 2 + 3 downsamples; the stem as narrow as the first stage, as in the full network
    'resnet18': (dict(type='ResNet', depth=18, stem_channels=4, base_channels=4), dict(norm_cfg=BN), 20),
    # stem + 16 blocks of 3 + 4 downsamples
    'resnet50': (dict(type='ResNet', depth=50, base_channels=4), dict(norm_cfg=BN), 53),
    # deep stem 3 + 16 blocks of 4, as the split attention has a second one + 4 downsamples
    'resnest50': (dict(type='ResNeSt', depth=50, base_channels=4, stem_channels=8), dict(norm_cfg=BN), 71),
    # stem + 1, 2, 7 and 12 blocks of 3 + 4 downsamples
    'regnetx_400mf': (dict(type='RegNet', arch='regnetx_400mf'), dict(norm_cfg=BN), 71),
    # stem + 3 downsamples + 18 blocks + the output
    'convnext': (dict(type='ConvNeXt', arch='tiny'), dict(norm_cfg=dict(LN2D, eps=1e-6)), 23),
    # patch embedding + 12 blocks of 2 + 3 mergings + the output
    'swin': (
        dict(type='SwinTransformer', arch='tiny', img_size=(224, 224)),
        dict(
            norm_cfg=LN,
            patch_cfg=dict(norm_cfg=LN),
            stage_cfgs=dict(block_cfgs=dict(norm_cfg=LN), downsample_cfg=dict(norm_cfg=LN)),
        ),
        29,
    ),
    # 12 blocks of 2 + the output
    'vit': (
        dict(type='VisionTransformer', arch='deit-tiny', img_size=(64, 32), out_type='cls_token'),
        dict(norm_cfg=dict(LN, eps=1e-6), layer_cfgs=dict(norm_cfg=dict(LN, eps=1e-6))),
        25,
    ),
}


@pytest.mark.parametrize('family', FAMILIES)
def test_backbone_families(family):
    """Every norm is one of ours, in its place; plain weights fill every branch; outputs are those of plain norms."""
    plain, norms, count = FAMILIES[family]
    torch.manual_seed(0)
    expected, found = MODELS.build(plain), MODELS.build(dict(plain, **norms))
    randomize_norms(expected)
    context = BranchContext(MODALITIES)
    attach_branches(found, context)
    assert apply_arch(found, 'split') == dict.fromkeys(branch_norms(found), 'split')
    assert len(branch_norms(found)) == count == len(plain_norms(expected))
    assert not [name for name in plain_norms(found) if name.rpartition('.')[0] not in branch_norms(found)]

    state = expected.state_dict()
    missing, unexpected = found.load_state_dict(state)
    assert not missing and not unexpected
    load_state_dict(found, state, strict=True)  # MMEngine's, which raises
    assert load_weights(found, dict(state)).is_exact
    for name, norm in branch_norms(found).items():
        for branch in norm.branches:
            assert torch.equal(branch.weight, state[f'{name}.weight'])

    context.set_blocks(1, 1)
    x = torch.randn(2, 3, 224, 224) if family == 'swin' else torch.randn(2, 3, 64, 32)
    found.eval(), expected.eval()
    with torch.no_grad():
        torch.testing.assert_close(found(x)[-1], expected(x)[-1], rtol=1e-4, atol=1e-4)


def plain_norms(model):
    kinds = (nn.BatchNorm2d, nn.LayerNorm)
    return {name: module for name, module in model.named_modules() if isinstance(module, kinds)}


def randomize_norms(model):
    for module in plain_norms(model).values():
        randomize(module)


def test_zero_initialized_residuals_are_zero_in_every_branch():
    """MMPretrain's ResNet sets ``norm3.weight``; the model then makes the branches equal."""
    model = MODELS.build(
        dict(type='ResNet', depth=50, base_channels=4, norm_cfg=dict(BN, mode='split', branches=MODALITIES))
    )
    randomize(model)
    model.init_weights()
    for name, norm in branch_norms(model).items():
        norm.align_branches()
        expected = 0.0 if name.endswith('bn3') else 1.0
        assert all((branch.weight == expected).all() for branch in norm.branches), name


def test_branches_that_were_loaded_one_by_one_stay():
    """A trained network as initial weights must not lose its infrared norms."""
    trained, model = (MODELS.build(dict(BN, num_features=6, mode='split', branches=MODALITIES)) for _ in range(2))
    randomize(trained)
    model.load_state_dict(trained.state_dict())
    model.align_branches()
    torch.testing.assert_close(model.state_dict(), trained.state_dict())
    randomize(plain := nn.BatchNorm2d(6))
    model.load_state_dict(plain.state_dict())
    model.visible.weight.data.zero_()
    model.align_branches()
    assert not model.infrared.weight.any()


def test_another_architecture_does_not_load():
    report = load_weights(BranchBN2d(6, 'split', MODALITIES), BranchBN2d(6, 'share').state_dict())
    assert not report.is_exact
    assert 'visible.weight' in report.missing and 'share.weight' in report.unused


NAMES = ['bn1', 'layer1.0.bn1', 'layer1.0.bn2', 'layer2.0.bn1']


def test_plain_norms_of_another_width_are_reported_for_every_branch():
    report = load_weights(
        torch.nn.Sequential(BranchBN2d(6, 'split', MODALITIES)),
        torch.nn.Sequential(torch.nn.BatchNorm2d(4)).state_dict(),
    )
    assert set(report.reshaped) >= {'0.visible.weight', '0.infrared.weight', '0.infrared.running_var'}
    assert report.reshaped['0.visible.weight'] == '(4,) -> (6,)' and not report.unused


def test_architectures_are_written_by_name_or_pattern():
    arch = resolve_arch({'*': 'share', 'layer1.*': 'split', 'layer1.0.bn2': 'share', '_delete_': True}, NAMES)
    assert arch == dict(zip(NAMES, ['share', 'split', 'share', 'share'], strict=True))
    assert set(resolve_arch('split', NAMES).values()) == {'split'}


def test_an_architecture_that_does_not_fit_lists_both_sides():
    with pytest.raises(ValueError, match=' 4 .*layer9.0.bn1.* bn1'):
        resolve_arch({'layer*.bn*': 'share', 'layer9.0.bn1': 'split'}, NAMES)
    with pytest.raises(ValueError, match="bn1 .*'both'.*'share' or 'split'"):
        resolve_arch({'*': 'share', 'bn1': 'both'}, NAMES)


@pytest.mark.parametrize('arch', [None, 5, ['share', 'split']])
def test_what_is_no_architecture_is_refused(arch):
    with pytest.raises(ValueError, match="arch=.*'share', 'split'.*arch.json"):
        resolve_arch(arch, NAMES)


def test_norms_are_listed_in_the_order_of_the_network():
    model = MODELS.build(dict(FAMILIES['resnet18'][0], norm_cfg=BN))
    assert list(branch_norms(model))[:4] == ['bn1', 'layer1.0.bn1', 'layer1.0.bn2', 'layer1.1.bn1']
    assert all(isinstance(norm, BranchNorm) for norm in branch_norms(model).values())


THREE = ('day', 'dusk', 'night')


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('blocks', [(2, 3, 3), (3, 0, 5), (0, 0, 8)])
@pytest.mark.parametrize('mode', ['split', 'search'])
@pytest.mark.parametrize('kind', KINDS)
def test_a_third_branch(kind, mode, blocks, training):
    """Outputs, gradients and running statistics with three branches, of which some have no images."""
    norm = norm_in(kind, mode, blocks, branches=THREE).train(training)
    meant = copy.deepcopy(norm)
    meant.weights = norm.weights.detach().clone().requires_grad_()
    found = trace(norm, norm, KINDS[kind][0])
    expected = trace(by_definition(meant, blocks, mode), meant, KINDS[kind][0])
    assert set(found) == set(expected)
    assert {name.split('.')[0] for name in norm.state_dict()} == {*THREE, *(('share',) if mode == 'search' else ())}
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-10, msg=lambda m, name=name: f'{name}: {m}')


def test_plain_weights_load_into_three_branches_and_one_alone_can_run():
    plain, norm = nn.BatchNorm2d(6), BranchBN2d(6, 'split', THREE).eval()
    randomize(plain)
    missing, unexpected = norm.load_state_dict(plain.state_dict())
    assert not missing and not unexpected
    norm.attach(BranchContext(THREE))
    norm.dusk.bias.data += 1
    x = torch.randn(5, 6, 2, 2)
    for branch in THREE:
        norm.context.set_only(branch)
        torch.testing.assert_close(norm(x), plain.eval()(x) + (branch == 'dusk'))


def test_branches_come_from_the_model_or_the_constructor():
    norm = BranchBN2d(6)
    assert list(norm.state_dict())[0] == 'share.weight'
    for mode in ('split', 'search'):
        with pytest.raises(ValueError, match=f"'{mode}' needs the names of its branches"):
            norm.set_mode(mode)
    assert norm.mode == 'share'
    norm.attach(BranchContext(('source', 'target')))
    norm.set_mode('split')
    assert {key.split('.')[0] for key in norm.state_dict()} == {'source', 'target'}
    with pytest.raises(ValueError, match=r"branches=\('source', 'target'\).*\('visible', 'infrared'\)"):
        norm.attach(BranchContext(MODALITIES))
    with pytest.raises(ValueError, match=r'set_blocks\(4,\).*source, target'):
        norm.context.set_blocks(4)


@pytest.mark.parametrize('names', [('one',), ('twice', 'twice'), ('share', 'other'), ('no name', 'other')])
def test_names_that_cannot_be_branches_are_refused(names):
    with pytest.raises(ValueError, match=names[0]):
        BranchContext(names)
    with pytest.raises(ValueError, match=names[0]):
        BranchLN(6, branches=names)
