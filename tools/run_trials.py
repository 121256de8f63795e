# Copyright (c) mmreid contributors. All rights reserved.
"""Trains and tests a config on several trials of its data set, and averages: ``run_trials.py CONFIG --trials 1-10``.

Several configs are stages of one training: each starts from the end of the one before, and the last one is tested.
Finished trials are skipped and a stopped training continues, so the command can be repeated at any time. It is refused
with another config, architecture or option: trials that were not trained alike have no mean.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from terminaltables import AsciiTable

import mmreid  # noqa: F401  registers the data sets
from mmreid.registry import DATASETS
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.checkpoint import find_resumable_checkpoint
from mmreid.utils.config import load_config
from mmreid.utils.json_text import is_number, parse_json
from mmreid.utils.one_line_errors import one_line_errors

TOOLS = Path(__file__).parent
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def parse_trials(text: str) -> list[int]:
    """Reads numbers and ranges such as ``1-10`` or ``1,3,5-7``, sorted; raises a ValueError for any other text."""
    trials: set[int] = set()
    for part in text.split(','):
        first, _, last = part.partition('-')
        if not first.strip().isdecimal() or not (last or first).strip().isdecimal():
            raise ValueError(f"--trials {text}: '{part}' is neither a number nor a range such as 1-10")
        trials.update(range(int(first), int(last or first) + 1))
    if not trials:
        raise ValueError(f'--trials {text} names no trial; give for example 1-10')
    return sorted(trials)


def trial_keys(config: str) -> list[str]:
    """Finds the ``trial`` of each data set of a config, as keys for ``--cfg-options``; a ValueError if one has none."""
    cfg = load_config(config)
    keys = []
    for loader in LOADERS:
        section = cfg.get(loader)
        if section is None and loader != 'test_dataloader':
            continue
        key, dataset = f'{loader}.dataset', section.get('dataset', {}) if isinstance(section, dict) else {}
        while 'dataset' in dataset:  # a wrapper such as ImageSplit
            key, dataset = f'{key}.dataset', dataset['dataset']
        if 'trial' not in dataset:
            raise ValueError(
                f"{key} of {config} has no 'trial'; run_trials.py is for data sets with trials, such as RegDB"
            )
        keys.append(f'{key}.trial')
    return keys


def check_trials(config: str, trials: list[int]) -> None:
    """Builds the test set of each trial without reading it, which refuses an unknown trial before any training."""
    dataset = load_config(config).test_dataloader.dataset
    for trial in trials:
        DATASETS.build(dict(dataset, trial=trial, lazy_init=True))


def check_recipe(configs: list[str], options: list[str], root: Path) -> None:
    """Notes what the trials in a folder are trained with, or compares it with the note.

    Args:
        configs (list[str]): The config file of each stage.
        options (list[str]): Entries of ``--cfg-options``.
        root (Path): The folder of all trials.

    Raises:
        ValueError: If they were trained with something else.
    """
    cfgs, path = [load_config(config) for config in configs], root / 'recipe.json'
    given = dict(option.split('=', 1) for option in options if '=' in option)
    archs = [given.get('model.arch', cfg.get('model', {}).get('arch')) for cfg in cfgs]
    files = [Path(arch) for arch in archs if isinstance(arch, str) and Path(arch).is_file()]
    recipe = dict(
        config='\n'.join(cfg.pretty_text for cfg in cfgs),
        options=sorted(options),
        arch='\n'.join(file.read_text(encoding='utf-8') for file in files),
    )
    if not path.is_file():
        root.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps(recipe, indent=2) + '\n')
        return
    known = read_dict(path)
    changed = [name for name, value in recipe.items() if known.get(name) != value]
    if changed:
        raise ValueError(
            f'the trials in {root} were trained with something else ({", ".join(changed)} of {path} differ), and would '
            'be averaged with the new ones; give another --work-dir, or remove the file if the change does not matter'
        )


def run_trial(configs: list[str], trial: int, folder: Path, options: list[str]) -> dict[str, float]:
    """Trains the stages of one trial and tests the last, unless that is done.

    Args:
        configs (list[str]): The config file of each stage.
        trial (int): The trial.
        folder (Path): Its work dir; that of earlier stages are ``stage<N>/`` in it.
        options (list[str]): Entries of ``--cfg-options``, for all stages.

    Returns:
        dict[str, float]: The metrics.
    """
    results = folder / 'results.json'
    if not results.is_file():
        start: list[str] = []
        for stage, config in enumerate(configs, 1):
            changes = ['--cfg-options', *(f'{key}={trial}' for key in trial_keys(config)), *options]
            place = folder if stage == len(configs) else folder / f'stage{stage}'
            checkpoint = train_stage(config, place, [*changes, *start])
            start = [f'load_from={checkpoint}']
        _run('test.py', config, checkpoint, '--work-dir', folder, '--out', results, *changes)
    return read_dict(results)


def train_stage(config: str, folder: Path, changes: list[str]) -> Path:
    """Trains a config in a folder, or goes on where it was stopped; returns the checkpoint of the end."""
    _run('train.py', config, '--work-dir', folder, '--resume', *changes)
    return end_of(folder)


def end_of(folder: Path) -> Path:
    """Finds the last checkpoint of a finished training; a ValueError if there is none that shows its state."""
    checkpoint = find_resumable_checkpoint(folder)
    if checkpoint is None:
        raise ValueError(
            f'{folder} holds no checkpoint with the state of its training, which shows the last one; leave '
            'default_hooks.checkpoint.save_optimizer at True, remove the folder and run again'
        )
    return checkpoint


def read_dict(path: Path) -> dict:
    """Reads the entries of a JSON file that this tool or a test wrote; a ValueError for anything else."""
    try:
        content = parse_json(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is not JSON ({error}); remove it and run the same command again') from error
    if not isinstance(content, dict):
        raise ValueError(f'{path} holds no entries; remove it and run the same command again')
    return content


def _run(tool: str, *arguments: str | Path) -> None:
    done = subprocess.run([sys.executable, str(TOOLS / tool), *map(str, arguments)], check=False)  # noqa: S603  no shell; the tools beside this one
    if done.returncode:
        raise RuntimeError(f'tools/{tool} ended with status {done.returncode}, see above; run the same command again')


def summary(results: dict[int, dict[str, float]]) -> str:
    """Draws a table of the metrics of all trials, their mean and their standard deviation."""
    keys = [key for key, value in next(iter(results.values())).items() if isinstance(value, float)]
    keys = [key for key in keys if key.rpartition('/')[2] in ('mAP', 'mINP', 'Rank-1', 'Rank-5', 'Rank-10', 'Rank-20')]
    for trial, found in results.items():
        wrong = [key for key in keys if not is_number(found.get(key))]
        if wrong:
            raise ValueError(
                f'the results of trial {trial} have no number {wrong[0]}; remove its results.json and run again'
            )
    table = [
        ['trial', *keys],
        *([str(trial), *(f'{found[key]:.2f}' for key in keys)] for trial, found in results.items()),
    ]
    values = {key: [found[key] for found in results.values()] for key in keys}
    table.append(['mean', *(f'{statistics.mean(values[key]):.2f}' for key in keys)])
    if len(results) > 1:
        table.append(['std', *(f'{statistics.stdev(values[key]):.2f}' for key in keys)])
    return AsciiTable([list(row) for row in zip(*table, strict=True)]).table  # a row per metric, a column per trial


def main() -> None:
    """Runs the trials one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'configs', nargs='+', metavar='CONFIG', help='config file of a data set with trials; several are stages'
    )
    parser.add_argument('--trials', default='1-10', help='numbers and ranges, such as 1-10 or 1,3 (default 1-10)')
    parser.add_argument('--work-dir', help='where trial<K>/ folders go; default ./work_dirs/<last config>-trials')
    parser.add_argument(
        '--cfg-options', nargs='+', action='extend', default=[], help='override config entries, key=value ...'
    )
    args = parser.parse_args()
    root = Path(args.work_dir or f'work_dirs/{Path(args.configs[-1]).stem}-trials')
    trials = parse_trials(args.trials)
    for config in args.configs:
        trial_keys(config)
        check_trials(config, trials)
    check_recipe(args.configs, args.cfg_options, root)
    results = {trial: run_trial(args.configs, trial, root / f'trial{trial}', args.cfg_options) for trial in trials}
    print(summary(results))


if __name__ == '__main__':
    with one_line_errors():
        main()
