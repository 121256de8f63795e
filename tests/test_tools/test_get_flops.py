# Copyright (c) mmreid contributors. All rights reserved.
"""Parameters and FLOPs of each family of shipped configs, without weights, data or a network."""

import pytest
from mmengine.analysis import get_model_complexity_info
from tiny_config import ROOT
from torch import nn

from mmreid.models import PixelReID
from mmreid.models.complexity import count_complexity
from mmreid.registry import MODELS
from mmreid.utils.config import load_config
from mmreid.utils.setup_env import register_all_modules

from .tool_modules import load_tool

TOOL = load_tool('analysis_tools/get_flops.py')
CONFIGS = ROOT / 'configs'
BASELINE = CONFIGS / 'baseline' / 'bot_resnet50_1xb64-120e_market1501-256x128.py'
SMALL = ['depth=18', 'base_channels=8']
SMALL = [f'model.backbone.{option}' for option in SMALL] + [f'model.{part}.in_channels=64' for part in ('neck', 'head')]


@pytest.fixture(autouse=True, scope='module')
def registered():
    register_all_modules()


def test_equals_mmengine_on_a_plain_model(capsys):
    TOOL.main([str(BASELINE), '--cfg-options', *SMALL])
    shown = capsys.readouterr().out
    cfg = load_config(str(BASELINE), TOOL.parse_args([str(BASELINE), '--cfg-options', *SMALL]).cfg_options)
    model = MODELS.build(cfg.model).eval()
    model.forward = model.extract_feat
    expected = get_model_complexity_info(model, (3, 256, 128), show_table=False, show_arch=False)
    found = count_complexity(MODELS.build(cfg.model), (256, 128))
    assert sum(found.flops.values()) == expected['flops'] and found.used_params == expected['params']
    assert sorted(found.flops) == ['backbone', 'neck'] and found.feature == (64,)
    assert 'input 256x128' in shown and 'max_pool2d' in shown and f'{expected["flops"] / 1e6:.3f} M' in shown


def test_another_shape_costs_in_proportion():
    backbone = dict(type='ResNet', depth=18, base_channels=8)
    neck, head = dict(type='BNNeck', in_channels=64), dict(type='ReIDHead', in_channels=64)
    model = MODELS.build(dict(type='ImageReID', backbone=backbone, neck=neck, head=head))
    model.train()
    small, large = (count_complexity(model, size).flops['backbone'] for size in ((64, 32), (128, 64)))
    assert large == 4 * small and model.training


# One of each kind of model, matcher and training; the smallest of each.
FAMILIES = [
    ('baseline/pixels_procedural-64x32.py', (64, 32), ''),
    ('baseline/quickstart_resnet18_1xb64-25e_procedural-64x32.py', (64, 32), ''),
    ('camstyle/stargan_1xb16-220e_market1501-256x128.py', (256, 128), 'number of cameras'),
    ('cmnas/cmnas_resnet18_1xb128-120e_sysu-256x128.py', (256, 128), 'does not exist'),
    ('cmnas/cmnas-search-gradient_resnet50_1xb128-40e_sysu-256x128.py', (256, 128), 'searched norms'),
    ('cmnas/cmnas-split_resnet50_1xb128-120e_llcm-288x144.py', (288, 144), ''),
    ('combos/ecn_swin-tiny_1xb256-60e_msmt2market-256x128.py', (256, 128), ''),
    ('ecn/ecnpp_resnet50_1xb256-60e_msmt2market-256x128.py', (256, 128), ''),
    ('gs/qaconv-gs_resnet50-ibnb_1xb64-60e_market1501-384x128.py', (384, 128), ''),
    ('pretrain/pretrain_resnet18_1xb64-20e_procedural-64x32.py', (64, 32), ''),
]  # fmt: skip


@pytest.mark.parametrize(('name', 'size', 'note'), FAMILIES, ids=[name for name, *_ in FAMILIES])
def test_every_family_can_be_built_and_has_a_size(name, size, note):
    cfg = load_config(str(CONFIGS / name))
    notes = TOOL.complete(cfg.model)
    assert tuple(TOOL.input_size(cfg)) == size
    assert any(note in entry for entry in notes) or not note
    MODELS.build(cfg.model)


@pytest.mark.parametrize(
    'name', ['camstyle/stargan', 'cmnas/cmnas-search_resnet18', 'gs/qaconv-gs_resnet50', 'ecn/ecn-dsbn']
)
def test_families_are_counted(name, capsys):
    (config, *_) = sorted(CONFIGS.glob(f'{name}*.py'))
    shape = ('384', '128') if 'qaconv' in name else ('64', '32')
    TOOL.main([str(config), '--shape', *shape])
    shown = capsys.readouterr().out
    assert 'an image' in shown and f'input {"x".join(shape)}' in shown
    assert ('matcher, a pair' in shown) == ('camstyle' not in name)


def test_a_pair_of_maps_costs_the_product_of_their_places():
    matcher = dict(type='QAConvMatcher', size=(4, 2))
    model = MODELS.build(dict(type='PairwiseReID', matcher=matcher, head=dict(type='PairwiseHead'),
                              backbone=dict(type='ResNet', depth=18, base_channels=8, out_indices=(2,)),
                              neck=dict(type='FeatureMapNeck', in_channels=32, out_channels=16)))  # fmt: skip
    found = count_complexity(model, (64, 32))
    assert found.feature == (16, 4, 2)
    products = 8 * 8 * 16
    assert products < found.pair_flops < products + 100  # a norm and a linear layer of 2 x 8 maxima
    with pytest.raises(ValueError, match=r'4x2; .*model.matcher.size=\(8, 4\)'):
        count_complexity(model, (128, 64))


def test_attention_is_counted_as_its_products():
    class Attention(PixelReID):
        def extract_feat(self, inputs, data_samples=None):
            tokens = inputs.flatten(2)[:, None]  # one head, three tokens of ten numbers
            return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens).flatten(1)

    found = count_complexity(Attention(), (2, 5))
    assert found.flops == {'other': 2 * 3 * 3 * 10} and found.pair_flops == 30


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match='^Linear '):
        count_complexity(nn.Linear(2, 2), (8, 8))
    cfg = load_config(str(BASELINE))
    cfg.test_dataloader.dataset.pipeline = [dict(type='LoadReIDImage'), dict(type='PackReIDInputs')]
    with pytest.raises(ValueError, match='--shape H W'):
        TOOL.input_size(cfg)
    with pytest.raises(SystemExit):
        TOOL.main([str(BASELINE), '--shape', '0', '32'])
