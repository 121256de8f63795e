# Copyright (c) mmreid contributors. All rights reserved.
"""What the exemplar memory costs in a training step, beside its own two matrix products and the published form.

The published form is written here after the official code's description: a full sort for the neighbors, a dense table
of targets, log-softmax of the whole table, and a Python loop over the batch that writes the memory.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from terminaltables import AsciiTable

from mmreid.models import ExemplarMemory, InvarianceHead

BETA, K, ALPHA = 0.05, 6, 0.1


def make(slots: int, size: int, batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Makes a full memory, features of a batch and their slots."""
    generator = torch.Generator().manual_seed(0)
    memory = F.normalize(torch.randn(slots, size, generator=generator))
    feats = F.normalize(torch.randn(batch, size, generator=generator))
    return memory, feats, torch.randperm(slots, generator=generator)[:batch]


def products(memory: torch.Tensor, feats: torch.Tensor) -> Callable[[], None]:
    """The two products that no form can do without."""
    grad = torch.randn(len(feats), len(memory))

    def step() -> None:
        feats @ memory.t()
        grad @ memory

    return step


def ours(memory: torch.Tensor, feats: torch.Tensor, slots: torch.Tensor) -> Callable[[], float]:
    """Loss, gradient and update as in training."""
    head = InvarianceHead(
        feats.shape[1],
        memory=dict(type='ExemplarMemory', num_slots=len(memory)),
        invariance=dict(neighbors=dict(k=K), neighbor_epoch=0),
        temperature=BETA,
    )
    head.memory = ExemplarMemory(feats.shape[1])
    head.memory.num_slots, head.memory.features = len(memory), memory

    def step() -> float:
        rows = feats.clone().requires_grad_()
        similarity = head.memory.compare(rows, BETA)
        loss = similarity.cross_entropy(*head.invariance.targets(similarity, slots)).mean()
        loss.backward()
        head.memory.update(rows.detach(), slots, ALPHA)
        return float(loss.detach())

    return step


def published(memory: torch.Tensor, feats: torch.Tensor, slots: torch.Tensor) -> Callable[[], float]:
    """The same in the published form."""

    def step() -> float:
        rows = feats.clone().requires_grad_()
        scores = rows @ memory.t() / BETA
        _, order = scores.detach().sort(dim=1, descending=True)
        targets = torch.zeros_like(scores)
        targets.scatter_(1, order[:, :K], 1 / K)
        targets.scatter_(1, slots[:, None], 1.0)
        loss = -(targets * F.log_softmax(scores, dim=1)).sum(1).mean()
        loss.backward()
        for row, slot in zip(rows.detach(), slots.tolist(), strict=True):
            memory[slot] = ALPHA * memory[slot] + (1 - ALPHA) * row
            memory[slot] /= memory[slot].norm()
        return float(loss.detach())

    return step


def measure(slots: int, size: int, batch: int, repeats: int) -> dict[str, float]:
    """Times the three in turn, so that all see the same machine; the fastest run of each, in seconds."""
    memory, feats, own = make(slots, size, batch)
    steps = dict(
        products=products(memory, feats),
        ours=ours(memory.clone(), feats, own),
        published=published(memory.clone(), feats, own),
    )
    losses = {name: step() for name, step in steps.items()}  # also warms up
    assert abs(losses['ours'] - losses['published']) < 1e-4, losses
    best = dict.fromkeys(steps, float('inf'))
    for _ in range(repeats):
        for name, step in steps.items():
            begin = time.perf_counter()
            step()
            best[name] = min(best[name], time.perf_counter() - begin)
    return best


def peak(slots: int, size: int, batch: int, name: str, queue: multiprocessing.Queue) -> None:
    """Tells the largest memory of a process that does one step, in MiB."""
    torch.set_num_threads(1)
    memory, feats, own = make(slots, size, batch)
    step = dict(ours=ours, published=published)[name](memory, feats, own)
    Path('/proc/self/clear_refs').write_text('5')  # forgets the peak of making the data, which is twice the slots
    step()
    # Not ru_maxrss, which a new process has from the one that started it.
    (line,) = [line for line in Path('/proc/self/status').read_text().splitlines() if line.startswith('VmHWM')]
    queue.put(int(line.split()[1]) / 1024)


def peaks(sizes: list[int], size: int, batch: int) -> list[list]:
    """Runs each size in a process of its own."""
    context = multiprocessing.get_context('spawn')
    rows = []
    for slots in sizes:
        row = [slots, round(slots * size * 4 / 2**20)]
        for name in ('ours', 'published'):
            queue = context.Queue()
            process = context.Process(target=peak, args=(slots, size, batch, name, queue))
            process.start()
            row.append(round(queue.get()))
            process.join()
        rows.append(row)
    return rows


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description='Time the exemplar memory in a training step.')
    parser.add_argument('--slots', type=int, default=32621)
    parser.add_argument('--size', type=int, default=4096)
    parser.add_argument('--batch', type=int, default=128)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    best = measure(args.slots, args.size, args.batch, args.repeats)
    rows = [
        [name, f'{seconds * 1e3:.0f}', f'{seconds / best["products"]:.2f}', f'{(seconds - best["products"]) * 1e3:.0f}']
        for name, seconds in best.items()
    ]
    head = ['', 'ms a step', 'x products', 'ms beside products']
    print(AsciiTable([head, *rows], f'{args.slots} x {args.size}, batch {args.batch}').table)
    head = ['slots', 'slots alone, MiB', 'peak ours, MiB', 'peak published, MiB']
    print(AsciiTable([head, *peaks([8000, 16000, 32000], args.size, args.batch)]).table)


if __name__ == '__main__':
    main()
