# Copyright (c) mmreid contributors. All rights reserved.
"""Mixed precision on GPUs and CPUs."""

from typing import Any

import torch
from mmengine import optim
from mmengine.optim import OptimWrapper

from mmreid.registry import OPTIM_WRAPPERS

DTYPES = ('bfloat16', 'float16')


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(optim.AmpOptimWrapper):
    """MMEngine's ``AmpOptimWrapper``, which computes in bfloat16 if it can, and then on CPUs too.

    Bfloat16 has the range of float32, so the loss needs no scale, and no step waits for the GPU to find out whether the
    gradients overflowed. Float16 is more precise and has a scaled loss.

    Args:
        dtype (str, optional): ``'bfloat16'``, or ``'float16'``, which needs a GPU. Defaults to None: ``'bfloat16'``,
            except on GPUs that do not compute in it (older than Ampere).
        **kwargs (Any): See :class:`mmengine.optim.AmpOptimWrapper`; ``loss_scale`` and ``use_fsdp`` are for float16.

    Raises:
        ValueError: If the dtype is unknown, or float16 is asked for without a GPU.
    """

    def __init__(self, dtype: str | None = None, **kwargs: Any) -> None:
        dtype = default_dtype() if dtype is None else dtype
        check_dtype(dtype)
        if dtype == 'float16':
            super().__init__(dtype=dtype, **kwargs)
            return
        scaling = ('loss_scale', 'use_fsdp')
        OptimWrapper.__init__(self, **{key: value for key, value in kwargs.items() if key not in scaling})
        self.cast_dtype = torch.bfloat16
        self.loss_scaler = torch.amp.GradScaler(enabled=False)
        self._scale_update_param = None


def default_dtype() -> str:
    """Returns the dtype that suits the GPU, or the CPU without one."""
    old = torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False)
    return 'float16' if old else 'bfloat16'


def check_dtype(dtype: str) -> None:
    """Raises a ValueError for a dtype of mixed precision that is unknown or does not work here."""
    if dtype not in DTYPES:
        raise ValueError(f'dtype={dtype!r} of AmpOptimWrapper is unknown; use one of {", ".join(DTYPES)}')
    if dtype == 'float16' and not torch.cuda.is_available():
        raise ValueError(
            "dtype='float16' of AmpOptimWrapper needs a GPU, but PyTorch finds none here; leave it out for bfloat16"
        )
