# Copyright (c) mmreid contributors. All rights reserved.
"""Measures what branch norms cost in a whole training step: forward, losses, backward, optimizer.

The step of a network with plain norms is what the others are compared with; all take turns, so that other work on the
machine hits them alike. On the CPU the time is that of this process, on a GPU that of the device.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from terminaltables import AsciiTable

from mmreid.engine.search.logits_only import logits_only
from mmreid.models import CrossModalReID
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample, stack_field

Step = Callable[[], None]


def build(norm: str, width: int, **kwargs) -> CrossModalReID | torch.nn.ModuleDict:
    """Builds ResNet-50 with neck and head, around plain or branch norms."""
    torch.manual_seed(0)
    parts = dict(
        backbone=dict(
            type='ResNet', depth=50, base_channels=width // 32, strides=(1, 2, 2, 1), norm_cfg=dict(type=norm)
        ),
        neck=dict(type='BNNeck', in_channels=width),
        head=dict(type='CrossModalHead', in_channels=width, num_classes=100),
    )
    if norm == 'BN':
        return torch.nn.ModuleDict({name: MODELS.build(cfg) for name, cfg in parts.items()})
    return CrossModalReID(**parts, **kwargs)


def batch(size: int, height: int, mixed: bool, device: str) -> tuple[torch.Tensor, list[ReIDDataSample]]:
    """Makes a batch of four images of each identity in each modality; in blocks, or the modalities by turns."""
    samples = []
    for i in range(size):
        modality = (i % 2 if mixed else i * 2 // size) == 0
        sample = ReIDDataSample(metainfo=dict(modality='visible' if modality else 'infrared'))
        samples.append(sample.set_gt_label((i // 2 if mixed else i % (size // 2)) // 4))
    return torch.randn(size, 3, height, height // 2, device=device), samples


def trainer(compute: Callable[[], dict[str, torch.Tensor]], parameters: list[torch.nn.Parameter]) -> Step:
    """Makes a training step of what computes the losses."""
    optimizer = torch.optim.Adam(parameters, lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        sum(value for name, value in compute().items() if 'loss' in name).backward()
        optimizer.step()

    return step


def steps(args: argparse.Namespace) -> dict[str, Step]:
    """Makes the training steps that are compared."""
    found = {}
    blocks, mixed = (batch(args.batch_size, args.height, mixed, args.device) for mixed in (False, True))
    plain = build('BN', args.width).to(args.device)

    def plain_losses() -> dict[str, torch.Tensor]:
        labels = stack_field(blocks[1], 'gt_label', args.device)
        return plain['head'].loss(plain['neck'](plain['backbone'](blocks[0])), labels, args.batch_size // 2)

    found['plain norms'] = trainer(plain_losses, list(plain.parameters()))
    for arch in ('share', 'split'):
        model = build('mmreid.BranchBN2d', args.width, arch=arch).to(args.device)
        parameters = list(model.parameters())
        found[f'{arch}, in blocks'] = trainer(lambda model=model: model.loss(*blocks), parameters)
        if arch == 'split':
            found['split, mixed order'] = trainer(lambda model=model: model.loss(*mixed), parameters)
    search = build('mmreid.BranchBN2d', args.width, mutator=dict(type='BNMutator')).to(args.device)
    logits = search.mutator.logits
    weight_step = trainer(lambda: search.loss(*blocks), [p for p in search.parameters() if p is not logits])
    arch_step = trainer(lambda: search.loss(*blocks), [logits])

    def pair() -> None:
        weight_step()
        with logits_only(search, logits):
            arch_step()

    found['search: weight step'] = weight_step
    found['search: weight and architecture step'] = pair
    return found


def seconds(step: Step, device: str) -> float:
    """Times a step."""
    if device == 'cpu':
        start = time.process_time()
        step()
        return time.process_time() - start
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    step()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--repeats', type=int, default=9, help='rounds; the table shows medians')
    parser.add_argument('--batch-size', type=int, default=16, help='images, half of them infrared; a multiple of 8')
    parser.add_argument('--height', type=int, default=128, help='of the images, which are half as wide')
    parser.add_argument('--width', type=int, default=2048, help='channels of the last stage')
    parser.add_argument('--device', default='cpu')
    args = parser.parse_args()
    made = steps(args)
    rounds = [{name: seconds(step, args.device) for name, step in made.items()} for _ in range(args.repeats + 2)][2:]
    rows = [['training step', 'milliseconds', 'against plain norms (quartiles)']]
    for name in made:
        ratios = sorted(each[name] / each['plain norms'] for each in rounds)
        quartiles = [ratios[len(ratios) * quarter // 4] for quarter in (1, 2, 3)]
        times = 1000 * median(each[name] for each in rounds)
        rows.append([name, f'{times:.1f}', f'{quartiles[1]:.3f} x ({quartiles[0]:.3f} to {quartiles[2]:.3f})'])
    print(f'{args.device}, {torch.get_num_threads()} threads, torch {torch.__version__}, {args}')
    print(AsciiTable(rows).table)


if __name__ == '__main__':
    main()
