# Copyright (c) mmreid contributors. All rights reserved.
"""Measures what the toolbox adds to a training step, beside a plain PyTorch loop of the same network and losses.

``python benchmarks/baseline/step_time.py`` trains copies of the strong baseline in turns, some steps each: one by the
runner with all hooks of the shipped config, one by a loop of ten lines that knows no hooks, logs, samples or data
preprocessor. Both take the same images, which are in memory. On the CPU the time is that of this process, on a GPU that
of the device and of all that it waits for.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from claims.results import table, write_section  # noqa: E402
from claims.runs import ROOT, ensure_environment  # noqa: E402

from mmreid.engine import ReIDRunner  # noqa: E402
from mmreid.registry import DATASETS  # noqa: E402
from mmreid.structures import ReIDDataSample  # noqa: E402
from mmreid.utils.config import load_config  # noqa: E402
from mmreid.utils.unwrap_model import unwrap_model  # noqa: E402

CONFIG = 'configs/baseline/bot_resnet50_1xb64-120e_market1501-256x128.py'
README = 'benchmarks/baseline/README.md'
# Depth, base channels, images of a batch, height: the quickstart, and two sizes toward the shipped config.
SIZES = {'quickstart': (18, 16, 64, 64), 'small': (50, 16, 32, 128), 'shipped width': (50, 64, 16, 256)}
IDENTITIES = 4  # images of an identity


@DATASETS.register_module()
class ImagesInMemory(torch.utils.data.Dataset):
    """Images of random identities, as the last transform leaves them.

    Args:
        images (int): Number.
        height (int): Of the images, which are half as wide.
    """

    def __init__(self, images: int, height: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 256, (images, 3, height, height // 2), generator=generator, dtype=torch.uint8)
        self.num_classes = images // IDENTITIES

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict:
        sample = ReIDDataSample(metainfo=dict(img_path=str(index), sample_idx=index))
        return dict(inputs=self.images[index], data_samples=sample.set_gt_label(index // IDENTITIES))


class PlainLoop:
    """Trains modules without any of the toolbox.

    Args:
        runner (ReIDRunner): Whose network, losses and optimizer to copy.
        dataset (ImagesInMemory): The images, a batch.
    """

    def __init__(self, runner: ReIDRunner, dataset: ImagesInMemory) -> None:
        self.model = runner.model.train()
        self.device = next(self.model.parameters()).device
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=3.5e-4, weight_decay=5e-4)
        self.images = dataset.images
        self.labels = torch.arange(len(dataset), device=self.device) // IDENTITIES
        self.mean, self.std = (
            torch.tensor(values, device=self.device).view(3, 1, 1)
            for values in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
        )
        head = self.model.head
        self.losses = head.classifier, head.loss_cls, head.loss_metric

    def step(self) -> None:
        """Trains on the batch."""
        images = (self.images.to(self.device).flip(1).float() - self.mean) / self.std
        self.optimizer.zero_grad()
        before, after = self.model.neck(self.model.backbone(images))
        classifier, loss_cls, loss_metric = self.losses
        loss: Tensor = loss_cls(classifier(after), self.labels) + loss_metric(before, self.labels)
        loss.backward()
        self.optimizer.step()


class RunnerLoop:
    """Trains by the runner, some iterations at a time.

    Args:
        runner (ReIDRunner): The runner; its loop must be infinite enough.
    """

    def __init__(self, runner: ReIDRunner) -> None:
        self.runner = runner
        self.batch = next(iter(runner.train_dataloader))

    def start(self) -> None:
        """Does what the runner does before its first iteration."""
        runner = self.runner
        runner._train_loop = runner.build_train_loop(runner._train_loop)
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
        model = unwrap_model(runner.model)
        runner.optim_wrapper.initialize_count_status(model, 0, runner.max_iters)
        for name in ('before_run', 'before_train', 'before_train_epoch'):
            runner.call_hook(name)
        runner.model.train()
        self.index = 0

    def step(self) -> None:
        """Trains on the batch, all hooks included."""
        self.runner.train_loop.run_iter(self.index, self.batch)
        self.index += 1


def build(size: tuple[int, int, int, int], work_dir: Path) -> ReIDRunner:
    """Builds the runner of the shipped config with a smaller network and images in memory."""
    depth, channels, images, height = size
    cfg = load_config(str(ROOT / CONFIG))
    width = channels * (8 if depth < 50 else 32)
    cfg.model.backbone.update(depth=depth, base_channels=channels, init_cfg=None)
    cfg.model.neck.in_channels = cfg.model.head.in_channels = width
    cfg.model.head.num_classes = images // IDENTITIES
    cfg.train_dataloader = dict(
        batch_size=images,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='ImagesInMemory', images=images, height=height),
    )
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=10**6)
    cfg.work_dir, cfg.experiment_name = str(work_dir), str(work_dir).replace('/', '_')
    return ReIDRunner.from_cfg(cfg)


def measure(size: tuple[int, int, int, int], steps: int, rounds: int, folder: Path) -> tuple[float, ...]:
    """Times both loops in turns.

    Args:
        size (tuple[int, int, int, int]): A value of ``SIZES``.
        steps (int): Steps of a turn.
        rounds (int): Turns of each.
        folder (Path): For logs.

    Returns:
        tuple[float, ...]: Medians: milliseconds of a plain step and of one of the toolbox; milliseconds between
        neighboring turns; their ratio.
    """
    ours = RunnerLoop(build(size, folder / 'runner'))
    ours.start()
    plain = PlainLoop(build(size, folder / 'plain'), ours.runner.train_dataloader.dataset)
    for loop in (ours, plain):
        turn(loop, 2, plain.device)
    turns = [[turn(loop, steps, plain.device) for loop in (plain, ours)] for _ in range(rounds)]
    times = [1000 * median(each[loop] for each in turns) for loop in (0, 1)]
    return *times, 1000 * median(mine - base for base, mine in turns), median(mine / base for base, mine in turns)


def turn(loop: PlainLoop | RunnerLoop, steps: int, device: torch.device) -> float:
    """Gives the seconds of a step."""
    clock = time.process_time
    if device.type == 'cuda':
        clock = time.perf_counter
        torch.cuda.synchronize()
    start = clock()
    for _ in range(steps):
        loop.step()
    if device.type == 'cuda':
        torch.cuda.synchronize()
    return (clock() - start) / steps


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--sizes', nargs='+', choices=SIZES, default=list(SIZES), help='which networks')
    parser.add_argument('--seconds', type=float, default=40, help='about how long a network may take')
    parser.add_argument('--rounds', type=int, default=9, help='turns of each loop')
    parser.add_argument('--readme', action='store_true', help='also write the table into the README')
    args = parser.parse_args()
    rows = [['network', 'images', 'plain loop, ms', 'mmreid, ms', 'added, ms', 'mmreid / plain']]
    with tempfile.TemporaryDirectory() as folder:
        for name in args.sizes:
            depth, channels, images, height = SIZES[name]
            first = measure(SIZES[name], 1, 1, Path(folder) / name / 'first')[0] / 1000
            steps = max(1, round(args.seconds / 2 / args.rounds / first))
            base, mine, added, ratio = measure(SIZES[name], steps, args.rounds, Path(folder) / name / 'all')
            network = f'ResNet-{depth}, {channels} channels'
            what = f'{images} of {height}x{height // 2}'
            rows.append([network, what, f'{base:.1f}', f'{mine:.1f}', f'{added:.1f}', f'{ratio:.3f}'])
    text = table(rows)
    print(f'{"cuda" if torch.cuda.is_available() else "cpu"}, torch {torch.__version__}\n{text}')
    if args.readme:
        write_section(ROOT / README, 'step time', text)


if __name__ == '__main__':
    ensure_environment()
    main()
