# Copyright (c) mmreid contributors. All rights reserved.
"""One rank, for the one GPU: NCCL and SyncBN, or gloo and plain batch norms in the rehearsal."""

import os
from typing import Any

import torch
from families import trained
from mmengine.dist import get_backend
from torch.nn import SyncBatchNorm


def one_rank(rehearse: bool) -> dict[str, Any]:
    """Trains the baseline with SyncBN, and ECN, whose ranks exchange features on the GPU and slots on the host."""
    os.environ.update(RANK='0', WORLD_SIZE='1', LOCAL_RANK='0', MASTER_ADDR='127.0.0.1', MASTER_PORT='29512')
    options = dict(launcher='pytorch') | ({} if rehearse else dict(sync_bn='torch'))
    numbers = {}
    for name in ('supervised', 'ecn'):
        runner, numbers[name] = trained(name, rehearse, **options)
        synchronized = sum(isinstance(module, SyncBatchNorm) for module in runner.model.modules())
        if not rehearse and (get_backend(), synchronized > 0) != ('nccl', True):
            raise RuntimeError(f'{name} ran with {get_backend()} and {synchronized} SyncBN layers')
        numbers[name] |= dict(backend=get_backend(), wrapper=type(runner.model).__name__, sync_bn=synchronized)
    torch.distributed.destroy_process_group()
    return numbers
