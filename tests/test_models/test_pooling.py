# Copyright (c) mmreid contributors. All rights reserved.
"""The poolings of MMPretrain that necks take, against those of fast-reid (tests/data/golden)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmreid.models import BNNeck, EmbeddingNeck

CASES = np.load(Path(__file__).parents[1] / 'data' / 'golden' / '08_pooling.npz')
GEM = 'GeneralizedMeanPooling'
POOLINGS = {
    'avg': dict(type='GlobalAveragePooling'),
    'gem_p3': dict(type=GEM, p=3.0, p_trainable=False),
    'gem_p6.5': dict(type=GEM, p=6.5, p_trainable=False),
    'gemP_p3': dict(type=GEM, p=3.0),
}


@pytest.mark.parametrize('name', POOLINGS)
@pytest.mark.parametrize('kind', [BNNeck, EmbeddingNeck])
def test_pooled_feature_and_gradients_equal_fastreid(name, kind):
    options = dict(out_channels=5) if kind is EmbeddingNeck else {}
    neck = kind(in_channels=7, pool=POOLINGS[name], **options).eval()
    x = torch.from_numpy(CASES['x']).requires_grad_()  # some values are below 0
    pooled = neck((x,)).before
    torch.testing.assert_close(pooled, torch.from_numpy(CASES[f'{name}.out']).flatten(1), rtol=1e-4, atol=1e-4)
    pooled.square().sum().backward()  # the loss of the reference
    torch.testing.assert_close(x.grad, torch.from_numpy(CASES[f'{name}.grad']), rtol=1e-4, atol=1e-4)
    powers = [p for p in neck.pool.parameters() if p.requires_grad]
    expected = [torch.from_numpy(CASES[f'{name}.grad_p'])] if name == 'gemP_p3' else []
    torch.testing.assert_close([p.grad for p in powers], expected, rtol=1e-4, atol=1e-4)
