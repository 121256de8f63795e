# Copyright (c) mmreid contributors. All rights reserved.
"""What every rank of test_memory_ranks.py does: ``torchrun memory_rank_work.py OUT_FILE``. Also imported, for one."""

import os.path as osp
import sys

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, all_gather_object, get_dist_info, is_main_process
from mmengine.model import MMDistributedDataParallel

import mmreid  # noqa: F401
from mmreid.engine.checkpoints.memory_shards import load_slots, save_shards
from mmreid.evaluation.functional.neighbor_precision import rate_learned
from mmreid.models import ExemplarMemory, InvarianceHead
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample
from mmreid.utils.dist import leave_distributed

BATCH, SLOTS, SIZE = 12, 23, 8


def mine(rows: torch.Tensor) -> torch.Tensor:
    """This rank's part of a global batch."""
    rank, size = get_dist_info()
    return rows.chunk(size)[rank]


def whole(memory: ExemplarMemory) -> torch.Tensor:
    """All slots, gathered where they are sharded."""
    return torch.cat(all_gather_object(memory.features)) if memory.sharded else memory.features.clone()


def memory_steps(sharded: bool) -> dict[str, torch.Tensor]:
    """Runs steps with repeated targets, with and without neighbors; rows of all ranks in rank order."""
    generator = torch.Generator().manual_seed(0)
    head = InvarianceHead(SIZE, memory=dict(type='ExemplarMemory', num_slots=SLOTS, sharded=sharded))
    start = F.normalize(torch.randn(SLOTS, SIZE, generator=generator))
    memory = head.memory
    memory.features.copy_(start[memory.first : memory.first + len(memory.features)])
    results = {}
    for step, epoch in enumerate((0, 4, 5, 30)):
        feats = mine(F.normalize(torch.randn(BATCH, SIZE, generator=generator))).requires_grad_()
        slots = mine(torch.randint(0, SLOTS, (BATCH,), generator=generator) // 3 * 3)
        similarity = memory.compare(feats, 0.05)
        head.start_epoch(epoch)
        loss = similarity.cross_entropy(*head.invariance.targets(similarity, slots))
        (loss * torch.linspace(1, 2, len(loss))).sum().backward()
        for name, value in (('loss', loss.detach()), ('grad', feats.grad), ('near', similarity.nearest(9))):
            results[f'{name}{step}'] = torch.cat(all_gather(value.contiguous()))
        memory.update(torch.cat(all_gather(feats.detach())), torch.cat(all_gather(slots)), 0.01 * epoch)
        results[f'memory{step}'] = whole(memory)
    return results


def model_of(sharded: bool, learned: bool = False) -> torch.nn.Module:
    """A small model, the same on every rank, without dropout; its neighbors the nearest, or learned."""
    torch.manual_seed(0)
    graph = dict(type='GraphPositivePrediction', k=5, channels=(8, 4), threshold=0.545)
    model = MODELS.build(
        dict(
            type='DomainAdaptiveReID',
            backbone=dict(type='mmpretrain.ResNet', depth=18, base_channels=4, frozen_stages=1),
            neck=dict(type='EmbeddingNeck', in_channels=32, out_channels=16),
            head=dict(
                type='InvarianceHead',
                in_channels=16,
                num_classes=5,
                dropout=0.0,
                invariance=dict(neighbor_epoch=0, neighbors=graph if learned else {}),
                memory=dict(type='ExemplarMemory', num_slots=SLOTS, sharded=sharded),
            ),
        )
    )
    memory = model.head.memory
    generator = torch.Generator().manual_seed(1)
    start = F.normalize(torch.randn(SLOTS, 16, generator=generator))
    memory.features.copy_(start[memory.first : memory.first + len(memory.features)])
    if learned:
        model.head.neighbors.allocate(torch.arange(BATCH) % 5)
        model.head.neighbors.memory.features.copy_(F.normalize(torch.randn(BATCH, 16, generator=generator)))
    return model


def global_batch() -> dict:
    """This rank's part of 12 source and 12 target images: [source | target]."""
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randint(0, 256, (2 * BATCH, 3, 64, 32), generator=generator, dtype=torch.uint8)
    samples = [ReIDDataSample(metainfo=dict(sample_idx=i)).set_gt_label(i % 5) for i in range(2 * BATCH)]
    for i in range(BATCH):
        samples[BATCH + i].set_field(i * 2 % 20, 'slot')  # slots 0, 2, 4, 6 twice, on different ranks
    rows = torch.cat([mine(torch.arange(BATCH)), mine(torch.arange(BATCH, 2 * BATCH))]).tolist()
    return dict(inputs=inputs[rows], data_samples=[samples[i] for i in rows])


def training_step(sharded: bool, learned: bool = False) -> dict[str, torch.Tensor]:
    """Trains one step with SGD and updates the memories; gives weights and memories after it."""
    model = model_of(sharded, learned)
    wrapped = model
    if get_dist_info()[1] > 1:
        wrapped = MMDistributedDataParallel(model, broadcast_buffers=False)
    wrapped.train()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = wrapped(**model.data_preprocessor(global_batch()), mode='loss')
    sum(value for name, value in losses.items() if name.startswith('loss')).backward()
    optimizer.step()
    results = {name: value.detach().clone() for name, value in model.named_parameters()}
    for domain, memory in model.head.memories().items():
        memory.update(*(torch.cat(all_gather(part)) for part in memory.take_pending()), 0.2)
        results['memory' if domain == 'target' else 'source_memory'] = whole(memory)
    if learned:
        labels = torch.arange(SLOTS) % 5
        rates = rate_learned(model.head.neighbors, model.head.memory, torch.arange(0, SLOTS, 2), labels, k=3)
        results['rates'] = torch.tensor([rates[name] for name in sorted(rates)])
    return results


def saved_shards(folder: str) -> list[torch.Tensor]:
    """Saves a sharded memory and reads it back as 1, 2, 3 and 5 ranks would."""
    memory = model_of(True).head.memory
    manifest = save_shards(memory, osp.join(folder, 'epoch_1.pth'))
    read = []
    for world_size in (1, 2, 3, 5):
        bounds = [SLOTS * rank // world_size for rank in range(world_size + 1)]
        read.append(torch.cat([load_slots(manifest, folder, *bounds[i : i + 2]) for i in range(world_size)]))
    return [whole(memory), *read]


def everything() -> dict:
    """Runs all of it on the ranks there are."""
    results = {}
    for sharded in (False, True):
        results[f'steps{sharded}'] = memory_steps(sharded)
        results[f'training{sharded}'] = training_step(sharded)
        results[f'learned{sharded}'] = training_step(sharded, learned=True)
    return results


if __name__ == '__main__':
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo')
    outcome = everything()
    outcome['shards'] = saved_shards(osp.dirname(sys.argv[1]))
    copies = [outcome['stepsFalse']['memory3'], outcome['trainingFalse']['memory'], *outcome['learnedFalse'].values()]
    copies += outcome['learnedTrue'].values()
    everyones = all_gather_object(copies)
    outcome['replicas_equal'] = all(
        torch.equal(one, other) for others in everyones for one, other in zip(copies, others, strict=True)
    )
    if is_main_process():
        torch.save(outcome, sys.argv[1])
    leave_distributed()
