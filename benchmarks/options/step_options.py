# Copyright (c) mmreid contributors. All rights reserved.
"""Measures what the options of a training step cost or save: channels last, fused optimizers, bfloat16, compilation.

``python benchmarks/options/step_options.py`` trains copies of a shipped model at its full width in turns, a step each,
on images in memory; the fastest step of each counts. On the CPU the time is that of this process on one thread, on a
GPU that of the device. The loss of the last step, from the same weights and images, says what the option changes.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from claims.results import table, write_section  # noqa: E402
from claims.runs import ROOT, ensure_environment  # noqa: E402

from mmreid.engine.runners.channels_last import to_channels_last  # noqa: E402
from mmreid.registry import MODELS  # noqa: E402
from mmreid.structures import ReIDDataSample  # noqa: E402
from mmreid.utils.config import load_config  # noqa: E402
from mmreid.utils.one_line_errors import one_line_errors  # noqa: E402

README = 'benchmarks/options/README.md'
# Config, and images of a step on the CPU.
MODELS_MEASURED = {
    'ResNet-50': ('baseline/bot_resnet50_1xb64-120e_market1501-256x128.py', 8),
    'ResNet-50-IBN-b, QAConv': ('gs/qaconv-gs_resnet50-ibnb_1xb64-60e_market1501-384x128.py', 8),
    'ResNet-50, split norms': ('cmnas/cmnas-split_resnet50_1xb128-120e_sysu-256x128.py', 8),
    'OSNet x1.0': ('baseline/softmax_osnet-x1-0_1xb64-150e_market1501-256x128.py', 8),
    'ViT-S': ('baseline/bot_vit-small_1xb64-120e_market1501-256x128.py', 8),
}
OPTIONS = {
    'plain': {},
    'channels last': dict(channels_last=True),
    'fused optimizer': dict(fused=True),
    'bfloat16': dict(amp=True),
    'bfloat16, channels last': dict(amp=True, channels_last=True),
    'compiled': dict(compiled=True),
}
IDENTITIES = 4  # images of an identity
WITHOUT_LAYOUT = {'ViT-S'}  # tokens have no layout to change


def batch_of(count: int, size: tuple[int, int]) -> dict:
    """Makes a batch: half of the images are visible, half infrared, of the same identities."""
    generator = torch.Generator().manual_seed(0)
    samples = []
    for index in range(count):
        modality = 'visible' if index < count // 2 else 'infrared'
        sample = ReIDDataSample(metainfo=dict(modality=modality, sample_idx=index, img_path=str(index)))
        samples.append(sample.set_gt_label(index % (count // 2) // (IDENTITIES // 2)))
    return dict(
        inputs=torch.randint(0, 256, (count, 3, *size), generator=generator, dtype=torch.uint8), data_samples=samples
    )


def step_of(
    name: str, device: str, batch: dict, channels_last: bool = False, fused: bool = False, amp: bool = False,
    compiled: bool = False,
) -> Callable[[], torch.Tensor]:  # fmt: skip
    """Makes a training step of a shipped model, which returns its loss."""
    cfg = load_config(str(ROOT / 'configs' / name))
    cfg.model.backbone.init_cfg, cfg.model.head.num_classes = None, 751
    if fused:
        cfg.optim_wrapper.optimizer.fused = True
    if amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmreid'):
        model = MODELS.build(cfg.model).to(device)
        model.init_weights()
        if channels_last:
            to_channels_last(model)
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    model.train()
    take = torch.compile(model.train_step) if compiled else model.train_step
    return lambda: take(dict(batch, data_samples=list(batch['data_samples'])), wrapper)['loss']


def measure(
    name: str, chosen: list[str], device: str, images: int, steps: int, shrink: int = 1
) -> dict[str, tuple[float, float, float]]:
    """Gives the fastest and the median step of each option, in ms, and the loss of the last step.

    The height and the width of the images are those of the config divided by ``shrink``.
    """
    cfg = load_config(str(ROOT / 'configs' / MODELS_MEASURED[name][0]))
    loader = cfg.test_dataloader[0] if isinstance(cfg.test_dataloader, list) else cfg.test_dataloader
    width, height = next(step.scale for step in loader.dataset.pipeline if step.type == 'Resize')
    batch = batch_of(images, (height // shrink, width // shrink))
    takes = {option: step_of(MODELS_MEASURED[name][0], device, batch, **OPTIONS[option]) for option in chosen}
    times: dict[str, list[float]] = {option: [] for option in chosen}
    losses = {}
    clock = time.process_time if device == 'cpu' else time.perf_counter
    for _ in range(steps + 1):
        for option, take in takes.items():
            torch.manual_seed(1)  # dropout
            start = clock()
            losses[option] = float(take().detach())
            times[option].append(1000 * (clock() - start))
    return {option: (min(own[1:]), sorted(own[1:])[len(own[1:]) // 2], losses[option]) for option, own in times.items()}


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--models', nargs='+', default=list(MODELS_MEASURED), choices=MODELS_MEASURED, metavar='MODEL')
    parser.add_argument('--options', nargs='+', default=list(OPTIONS)[:-1], choices=OPTIONS, metavar='OPTION')
    parser.add_argument('--images', type=int, help='images of a step; default: few on a CPU, 64 on a GPU')
    parser.add_argument('--steps', type=int, default=4)
    parser.add_argument('--readme', action='store_true', help='also write the table into the README')
    args = parser.parse_args()
    MMLogger.get_instance('step_options', log_level='ERROR')  # not two lines for every parameter
    rows = [['model', 'option', 'ms (fastest)', 'ms (median)', 'times as fast', 'loss of the last step']]
    for name in args.models:
        images = args.images or (MODELS_MEASURED[name][1] if args.device == 'cpu' else 64)
        chosen = [each for each in args.options if name not in WITHOUT_LAYOUT or 'channels' not in each]
        found = measure(name, chosen, args.device, images, args.steps)
        for option, (fastest, median, loss) in found.items():
            times = f'{found["plain"][0] / fastest:.2f}' if 'plain' in found else '-'
            rows.append([f'{name}, {images} images', option, f'{fastest:.0f}', f'{median:.0f}', times, f'{loss:.4f}'])
            print(*rows[-1], sep=' | ', flush=True)
    result = table(rows)
    print(result)
    if args.readme:
        write_section(ROOT / README, 'step options', result)


if __name__ == '__main__':
    ensure_environment()
    with one_line_errors():
        main()
