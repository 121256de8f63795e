# Copyright (c) mmreid contributors. All rights reserved.
"""The Triton kernels of location_maxima: by the interpreter on a CPU, compiled where there is a GPU."""

import pytest
import torch
from test_tools.tool_runs import run

from mmreid.models.matchers.location_maxima import location_maxima

pytest.importorskip('triton', reason='Triton is not installed, so its kernels are never used')


@pytest.mark.long
def test_kernels_under_the_interpreter():
    assert 'kernels agree' in run('tests/test_models/triton_maxima_work.py', TRITON_INTERPRET='1').stdout


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_compiled_kernels_through_the_public_function():
    generator = torch.Generator().manual_seed(0)
    sides = [torch.randn(n, 64, 192, generator=generator).to('cuda', torch.bfloat16).requires_grad_() for n in (5, 7)]
    exact = [side.detach().float().requires_grad_() for side in sides]
    found, expected = location_maxima(*sides), location_maxima(*exact)
    for value, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-4, atol=1e-4)
    for maxima in (found, expected):
        (maxima[0].square().sum() + maxima[1].square().sum()).backward()
    for side, wanted in zip(sides, exact, strict=True):
        cosine = torch.nn.functional.cosine_similarity(side.grad.float().flatten(), wanted.grad.flatten(), 0)
        assert cosine > 0.999
