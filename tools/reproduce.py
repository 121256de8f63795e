# Copyright (c) mmreid contributors. All rights reserved.
"""Reproduces the reported numbers of a method on your copy of the data: ``reproduce.py METHOD --data-root DIR``.

Checks the data, searches an architecture if the method needs one, trains the recipe, tests it by the official protocol,
and writes report.md, which compares with the reported numbers. Every stage continues where it was stopped, so the same
command can be repeated at any time.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import torch
from mmengine.config import Config
from run_trials import end_of, read_dict, trial_keys
from terminaltables import AsciiTable

import mmreid
from mmreid.apis.reproduction import (
    Kit,
    compare,
    draw_people,
    find_kit,
    list_kits,
    make_recipe,
    markdown_report,
    options_of_both,
    recipe_before,
    shorten,
)
from mmreid.apis.reproduction.recipe import keeps_its_batch
from mmreid.apis.reproduction.report import verdict
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.collect_env import git_commit
from mmreid.utils.config import OptionsAction
from mmreid.utils.current_run import read_current_run
from mmreid.utils.json_text import is_number
from mmreid.utils.one_line_errors import one_line_errors

TOOLS = Path(__file__).resolve().parent
NOT_REACHED = 3  # exit status
DIFFERENCES = {
    'CM-NAS': 'docs/en/methods/cmnas.md#what-differs-from-the-official-code',
    'QAConv-GS': 'docs/en/methods/gs.md#differences-from-the-official-code',
    'ECN': 'docs/en/methods/ecn.md#what-differs-from-the-official-code',
    'ECN++': 'docs/en/methods/ecn.md#ecn-learned-neighbors',
    'AGW (two modalities)': 'docs/en/methods/agw.md#what-differs-from-the-official-code',
    'CAJ': 'docs/en/methods/agw.md#what-differs-from-the-official-code',
    'Cluster Contrast': 'docs/en/methods/cluster_contrast.md#what-differs-from-the-official-code',
    'SpCL': 'docs/en/methods/spcl.md#what-differs-from-the-official-code',
    'ADCA': 'docs/en/methods/adca.md#what-differs-from-the-official-code',
}
BASELINES = 'configs/baseline/README.md#results, and the comments of the config'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('method', nargs='?', help='name of a model, or what only one name contains; see --list')
    parser.add_argument('--list', action='store_true', help='list what has reported numbers')
    parser.add_argument('--data-root', type=Path, default=Path('data'), help='folder of the data sets (default: data)')
    parser.add_argument('--gpus', type=int, default=1, help='GPUs, or processes without one (default: 1)')
    parser.add_argument('--work-dir', type=Path, help='where results go; default: work_dirs/reproduce/<model>')
    parser.add_argument(
        '--rehearse', action='store_true', help='go through all stages quickly, with drawn people and two epochs'
    )
    parser.add_argument(
        '--accept-data', action='store_true', help='go on although the check of the data found something'
    )
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, help='override config entries, key=value ...')
    args = parser.parse_args(argv)
    if not args.list and args.method is None:
        parser.error('give a METHOD, or --list')
    if args.gpus < 1:
        parser.error(f'--gpus {args.gpus} must be 1 or more')
    return args


class Reproduction:
    """The stages of one reproduction; each keeps its result in the work dir and is skipped if that is there.

    Args:
        kit (Kit): What is reproduced.
        args (argparse.Namespace): See :func:`parse_args`.
    """

    def __init__(self, kit: Kit, args: argparse.Namespace) -> None:
        self.kit, self.args = kit, args
        kind = 'rehearse' if args.rehearse else 'reproduce'
        self.folder = args.work_dir or Path('work_dirs') / kind / kit.name
        self.amp = kit.mixed_precision and torch.cuda.is_available()
        self.precision = 'float16' if self.amp else 'float32'
        self.recipe, self.search, self.stage1 = (self.folder / f'{name}.py' for name in ('recipe', 'search', 'stage1'))

    def write_recipe(self) -> None:
        """Writes the configs, or makes sure that they are those of the earlier calls."""
        cfg = self._config(self.kit.config)
        search, stage1 = (
            recipe_before(key, self.kit.config, self.args.cfg_options) for key in ('model.arch', 'load_from')
        )
        texts = {}
        if search is not None:
            cfg.model.arch = str(self.folder / 'search/arch.json')
            texts[self.search] = self._config(search, gpus=1).pretty_text  # each GPU trains other candidates
        if stage1 is not None:
            cfg.load_from = None  # the end of each trial's own first stage
            options = options_of_both(self.args.cfg_options or {}, self.kit.config, stage1)
            texts[self.stage1] = self._config(stage1, options=options).pretty_text
        texts[self.recipe] = cfg.pretty_text
        self.keeps_batch = keeps_its_batch(cfg)
        self.precision = cfg.optim_wrapper.get('dtype', self.precision)
        self.folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            if path.is_file() and path.read_text(encoding='utf-8') != text:
                raise ValueError(
                    f'{path} was written for other options, data or GPUs, and what is in {self.folder} was made with '
                    'it; repeat the command of that time, or give another --work-dir'
                )
            atomic_write(path, text)
        if self.args.rehearse:
            draw_people(cfg)

    def check_data(self) -> dict:
        """Counts the data sets and reads all images once."""
        path = self.folder / 'data.json'
        if not path.is_file():
            self._run('data', 'misc/verify_dataset.py', self.recipe, '--json', path, may_fail=True)
        if not path.is_file():
            raise RuntimeError('tools/misc/verify_dataset.py did not finish, see above; run the same command again')
        found = read_dict(path)
        if found.get('clean') is not True and not self.args.accept_data:
            path.rename(path.with_name('data_with_problems.json'))
            raise ValueError(
                f'the data in {self.args.data_root} are not as published, see the problems above and '
                f'{path.with_name("data_with_problems.json")}; repair them, or accept them with --accept-data'
            )
        return found

    def find_architecture(self) -> None:
        """Searches an architecture, if the method needs one."""
        if self.search.is_file() and not (self.folder / 'search/arch.json').is_file():
            self._train('search', self.search, self.folder / 'search')

    def results(self) -> dict[str, dict]:
        """Trains and tests, once for each trial of the data set; returns the results by the name of the trial."""
        has_trials = 'trial' in read_trial(self.recipe)
        if not has_trials:
            return {'': self._train_and_test('', [])}
        trials = (1, 2) if self.args.rehearse else range(1, 11)
        keys = trial_keys(str(self.recipe))
        return {
            f'trial {trial}': self._train_and_test(f'trial{trial}', [f'{key}={trial}' for key in keys])
            for trial in trials
        }

    def report(self, data: dict, results: dict[str, dict]) -> int:
        """Writes report.md and prints it; returns the exit status."""
        rows = compare(self.kit, list(results.values()))
        text = markdown_report(self.kit, rows, results, self._facts(data), self.args.rehearse)
        atomic_write(self.folder / 'report.md', text)
        print(f'\n{text}\n{self.folder / "report.md"}: {verdict(self.kit, rows, self.args.rehearse)}')
        return 0 if self.args.rehearse or all(row.reached for row in rows) else NOT_REACHED

    def _config(self, path: Path, gpus: int | None = None, options: dict | None = None) -> Config:
        options = self.args.cfg_options if options is None else options
        cfg = make_recipe(path, self.args.data_root, gpus or self.args.gpus, options)
        if self.amp:  # as --amp does, but in the authors' precision
            cfg.optim_wrapper.type = 'AmpOptimWrapper'
            cfg.optim_wrapper.setdefault('dtype', 'float16')
            cfg.setdefault('channels_last', True)
        if self.args.rehearse:
            shorten(cfg)
        return cfg

    def _train_and_test(self, name: str, changes: list[str]) -> dict:
        folder = self.folder / (name or 'train')
        results = folder / 'results.json'
        if not results.is_file():
            start = []
            if self.stage1.is_file():
                self._train(f'stage 1 {name}'.strip(), self.stage1, folder / 'stage1', changes)
                start = [f'load_from={end_of(folder / "stage1")}']
            self._train(f'train {name}'.strip(), self.recipe, folder, [*changes, *start])
            options = ['--cfg-options', *changes] if changes else []
            words = [self.recipe, end_of(folder), '--work-dir', folder, '--out', results, *options]
            self._run(f'test {name}'.strip(), 'test.py', *words, ranks=True)
        return read_dict(results)

    def _train(self, stage: str, config: Path, folder: Path, changes: Sequence[str] = ()) -> None:
        current = read_current_run(folder)
        if current is not None and current.finished:
            return
        flags = ['--auto-scale-lr'] * (self.keeps_batch and self.args.gpus > 1)
        options = ['--cfg-options', *changes] if changes else []
        self._run(stage, 'train.py', config, '--work-dir', folder, '--resume', *flags, *options, ranks=True)

    def _run(self, stage: str, tool: str, *words: str | Path, ranks: bool = False, may_fail: bool = False) -> None:
        """Runs a tool, as several processes if asked, and adds its time to times.json."""
        command, end = [sys.executable, str(TOOLS / tool)], []
        if ranks and self.args.gpus > 1:
            launch = ['--standalone', f'--nproc_per_node={self.args.gpus}', str(TOOLS / tool)]
            command, end = [sys.executable, str(TOOLS / 'launch.py'), *launch], ['--launcher', 'pytorch']
        print(f'\n== {self.kit.name}: {stage}', flush=True)
        begin = time.monotonic()
        status = run_command([*command, *map(str, words), *end], self.args.gpus)
        self._note_time(stage, time.monotonic() - begin)
        if status and not may_fail:
            raise RuntimeError(f'tools/{tool} ended with status {status}, see above; run the same command again')

    def _note_time(self, stage: str, seconds: float) -> None:
        path = self.folder / 'times.json'
        times = read_dict(path) if path.is_file() else {}
        before = times.get(stage, 0)
        times[stage] = round(seconds + (before if is_number(before) else 0))
        atomic_write(path, json.dumps(times, indent=2) + '\n')

    def _facts(self, data: dict) -> dict[str, str]:
        """Collects what a reader of the report must know."""
        times = read_dict(self.folder / 'times.json')
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or 'CPU'
        share = 'its own batch' if self.keeps_batch else 'a part of the batch'
        counts = [
            f'{found["name"]} {split}: {counts["identities"]:,} / {counts["images"]:,}'
            for found in data['datasets']
            for split, counts in found['splits'].items()
        ]
        return {
            'config': f'{self.kit.config.name}, written out in {self.recipe}',
            'options': ' '.join(f'{key}={value}' for key, value in (self.args.cfg_options or {}).items()) or 'none',
            'mmreid': f'{mmreid.__version__}, commit {git_commit()}',
            'machine': f'{self.args.gpus} x {device}, torch {torch.__version__}',
            'on each': f'{share}; {self.precision}',
            'data (identities / images)': '; '.join(counts),
            'data as published': 'yes' if data['clean'] else 'no, accepted with --accept-data',
            'what differs from the official code': DIFFERENCES.get(self.kit.collection, BASELINES),
            'hours': ', '.join(f'{stage} {seconds / 3600:.2f}' for stage, seconds in times.items()),
            'written': datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M UTC'),
        }


def run_command(command: Sequence[str], processes: int) -> int:
    """Runs a command, which starts some processes, and returns its exit status."""
    environment = {'OMP_NUM_THREADS': '1', **os.environ} if processes > 1 else None
    return subprocess.run(command, check=False, env=environment).returncode  # noqa: S603  no shell; the tools beside this one


def read_trial(recipe: Path) -> dict:
    """Reads the test set of a recipe, which has a ``trial`` if its data set is divided in several ways."""
    from mmreid.utils.config import load_config

    loader = load_config(str(recipe)).test_dataloader
    return loader.dataset if isinstance(loader, dict) else {}


def kit_table() -> str:
    """Draws what can be reproduced."""
    rows = [['model', 'reported', 'tolerance']]
    for kit in list_kits():
        numbers = [
            f'{part.dataset}: ' + ', '.join(f'{name} {value:g}' for name, value in part.metrics.items())
            for part in kit.reported
        ]
        rows.append([kit.name, '\n'.join(numbers), f'{kit.tolerance:g}'])
    return AsciiTable(rows).table


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stages; returns 0, or 3 if the reported numbers were not reached."""
    args = parse_args(argv)
    if args.list:
        print(kit_table())
        return 0
    stages = Reproduction(find_kit(args.method), args)
    stages.write_recipe()
    data = stages.check_data()
    stages.find_architecture()
    return stages.report(data, stages.results())


if __name__ == '__main__':
    with one_line_errors():
        sys.exit(main())
