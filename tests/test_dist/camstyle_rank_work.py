# Copyright (c) mmreid contributors. All rights reserved.
"""What each rank of test_camstyle_ranks.py does: ``torchrun camstyle_rank_work.py OUT``. Also imported, for one."""

import sys

import torch
from mmengine.dist import all_gather_object, get_dist_info, is_main_process
from mmengine.model import MMSeparateDistributedDataParallel
from mmengine.runner.checkpoint import get_state_dict

import mmreid  # noqa: F401
from mmreid.models import CamStyleGAN
from mmreid.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmreid.structures import ReIDDataSample
from mmreid.utils.dist import leave_distributed
from mmreid.utils.load_report import load_weights

BATCH, STEPS = 12, 4


def mine(rows: torch.Tensor) -> torch.Tensor:
    """This rank's part of a global batch."""
    rank, size = get_dist_info()
    return rows.chunk(size)[rank]


class Planned(CamStyleGAN):
    """Draws what depends on the images alone, so that every division of a batch draws the same."""

    def draw_order(self, count: int) -> torch.Tensor:
        return torch.arange(count).view(-1, 2).flip(1).flatten()  # neighbors exchange their cameras

    def draw_mix(self, real: torch.Tensor) -> torch.Tensor:
        return (real.mean((1, 2, 3)) * 97).remainder(1)


def everything() -> dict:
    """Trains a few steps with separate wrappers, and gives weights and the sums of the losses."""
    torch.manual_seed(0)
    model = Planned(
        cameras=[0, 1, 2],
        size=(32, 16),
        generator=dict(base_channels=4, num_blocks=1),
        discriminator=dict(base_channels=4, num_layers=3),
        n_critic=2,
    )
    wrapped = MMSeparateDistributedDataParallel(model) if get_dist_info()[1] > 1 else model
    sgd = dict(type='SGD', lr=1e-3, momentum=0.9)
    optimizers = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='MultiOptimWrapperConstructor',
            optim_wrapper_cfg=dict(
                generator=dict(optimizer=sgd, modules=['generator']),
                discriminator=dict(optimizer=sgd, modules=['discriminator']),
            ),
        )
    )(wrapped)
    generator = torch.Generator().manual_seed(1)
    for step in range(STEPS):
        inputs = torch.randint(0, 256, (BATCH, 3, 32, 16), generator=generator, dtype=torch.uint8)
        rows = mine(torch.arange(BATCH)).tolist()
        samples = [ReIDDataSample(metainfo=dict(camid=(row + step) % 3)) for row in rows]
        wrapped.train_step(dict(inputs=inputs[rows], data_samples=samples), optimizers)
    return {name: value.clone() for name, value in get_state_dict(wrapped).items()}


def reloaded(state: dict) -> list[str]:
    """Loads a checkpoint into a wrapped model; says what did not fit and what came out otherwise."""
    model = Planned(
        cameras=[0, 1, 2],
        size=(32, 16),
        generator=dict(base_channels=4, num_blocks=1),
        discriminator=dict(base_channels=4, num_layers=3),
    )
    MMSeparateDistributedDataParallel(model)
    report = load_weights(model, state)
    again = model.state_dict()
    return [*report.missing, *report.unused, *(name for name in state if not torch.equal(again[name], state[name]))]


if __name__ == '__main__':
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo')
    outcome = everything()
    everyones = all_gather_object(outcome)
    equal = all(torch.equal(value, other[name]) for other in everyones for name, value in outcome.items())
    misfits = reloaded(outcome)
    if is_main_process():
        torch.save(dict(weights=outcome, replicas_equal=equal, misfits=misfits), sys.argv[1])
    leave_distributed()
