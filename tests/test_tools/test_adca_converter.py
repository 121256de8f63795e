# Copyright (c) mmreid contributors. All rights reserved.
"""Weights of ADCA: what the converted network computes, and the shipped config that takes them."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden_networks import GOLDEN, assert_near, by_recipe, official_shapes

from mmreid.converters.agw import UNTRAINED, convert
from mmreid.registry import MODELS
from mmreid.utils.config import load_config
from mmreid.utils.load_report import load_weights
from mmreid.utils.setup_env import register_all_modules

DATA = np.load(GOLDEN / '13_full_adca_agw.npz')
X = torch.cat([torch.from_numpy(DATA[name]) for name in ('x1', 'x2')])


@pytest.fixture(scope='module')
def converted():
    """Their entries are those of AGW without non-local blocks, with a classifier of another size."""
    register_all_modules()
    shapes = official_shapes('agw_vi_resnet50_sysu395')
    unused = [key for key in shapes if re.match(r'(visible|thermal)_module\.\w+\.layer', key)]
    for key in unused[1:]:  # two whole ResNets less to make
        del shapes[key]
    shapes = {key: shape for key, shape in shapes.items() if not key.startswith('NL_')}
    return convert(by_recipe(shapes | {'classifier.weight': (1000, 2048)}, int(DATA['det_seed'])), unsupervised=True)


def test_the_network_gives_the_golden_features(converted):
    model = MODELS.build(converted.config)
    assert load_weights(model, converted.state).is_exact and UNTRAINED in converted.dropped.values()
    with torch.no_grad():
        model.eval()
        model.branches.set_blocks(4, 3)
        feats = F.normalize(model.neck(model.backbone(X)).after)
        assert_near(feats, np.concatenate([DATA['eval_modal1'], DATA['eval_modal2']]), 1e-5)
        feats = model.train().neck(model.backbone(X))
        assert_near(feats.before, np.concatenate([DATA['train_pool_rgb'], DATA['train_pool_ir']]), 3e-3)
        assert_near(feats.after, np.concatenate([DATA['train_rgb'], DATA['train_ir']]), 3e-3)


def test_the_shipped_config_takes_the_weights(converted):
    cfg = load_config('configs/adca/adca_resnet50_1xb384-50e_sysu-288x144.py')
    cfg.model.backbone.init_cfg = None
    assert load_weights(MODELS.build(cfg.model), converted.state).is_exact
