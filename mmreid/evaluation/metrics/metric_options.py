# Copyright (c) mmreid contributors. All rights reserved.
"""Checks of the options that all re-ID metrics share."""

from typing import Any

import torch
from mmengine.utils import is_seq_of

DTYPES = dict(float32=torch.float32, float16=torch.float16)


def check_options(owner: str, cmc_topk: Any, post: Any, feature_dtype: Any, prefilter_topk: int | None) -> None:
    """Raises ValueError if an option of the metric ``owner`` is wrong, see :class:`FeatureMetric`."""
    if not is_seq_of(cmc_topk, int) or not cmc_topk or min(cmc_topk) < 1:
        raise ValueError(f'cmc_topk={cmc_topk!r} of {owner} must list ranks of at least 1, such as (1, 5, 10)')
    if feature_dtype not in DTYPES:
        raise ValueError(f"feature_dtype={feature_dtype!r} of {owner} is unknown; use 'float32' or 'float16'")
    wrong = [step for step in post if not isinstance(step, dict) and not callable(step)]
    if wrong or not isinstance(post, (list, tuple)):
        raise ValueError(
            f"post={post!r} of {owner} must be a list of steps, such as [dict(type='KReciprocalRerank')]; write it "
            'into the config, or add steps with --rerank and --qe of tools/test.py, whose options are then '
            'test_evaluator.post.0.<option> of the first step, and so on'
        )
    if prefilter_topk is not None and (prefilter_topk < 1 or post):
        raise ValueError(
            f'prefilter_topk={prefilter_topk} of {owner} must be at least 1, and cannot be used together with post, '
            'whose steps compare all images'
        )
