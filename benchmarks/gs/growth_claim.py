# Copyright (c) mmreid contributors. All rights reserved.
"""Times graph sampling and a class memory to equal mAP, with few and with many classes, by QAConv's own optimizer.

``python benchmarks/gs/growth_claim.py growth --seeds 33`` draws people, trains, tests and prints a table. Finished runs
are lines of ``results.jsonl``: the same command, given again, goes on after the last of them, and several may run side
by side for different seeds.
"""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gs_configs as configs  # noqa: E402
from claims.command_line import compare  # noqa: E402
from claims.results import Results, settings_hash, spread, table  # noqa: E402
from claims.runs import run_row  # noqa: E402
from claims.tables import cost, floor_rows, of_row  # noqa: E402
from gs_claim import told  # noqa: E402
from gs_report import HEAD, best, first_at, scores  # noqa: E402
from gs_runs import draw_people, floors, make_world, remove_checkpoints, watched  # noqa: E402
from mmengine.config import Config  # noqa: E402

from mmreid.datasets.synthetic import GENERATOR_VERSION  # noqa: E402

SIZE = (64, 32)
IMAGES = 48_000  # that a memory is shown: as many as 8,000 classes have
TESTS = 8  # of a memory on its way; graph sampling is tested before each graph
CLASSES = (1000, 8000)
AS_PUBLISHED = dict(qaconv=True, published=True)
SAMPLED = configs.Row('graph sampling', loss='score triplet', images=2, **AS_PUBLISHED)
REMEMBERED = configs.Row('class memory', loss='class memory', images=1, batch=8, graph=False, **AS_PUBLISHED)


@dataclass(frozen=True)
class Row:
    """A training.

    Attributes:
        kind (configs.Row): Graph sampling, or a class memory.
        classes (int): Training identities.
    """

    kind: configs.Row
    classes: int

    @property
    def name(self) -> str:
        """str: Name in the table."""
        return f'{self.kind.name}, {self.classes} classes'


ROWS = [Row(kind, classes) for classes in CLASSES for kind in (SAMPLED, REMEMBERED)]
TABLES = dict(growth=ROWS)


def small_config(row: Row, roots: dict[str, Path], weights: Path | None, seed: int) -> Config:
    """Reads a shipped config and makes it small, with the published optimizer at a constant rate.

    Args:
        row (Row): What to train.
        roots (dict[str, Path]): The people of each domain.
        weights (Path, optional): The warm start. None leaves the backbone random.
        seed (int): Seed of the run.

    Returns:
        Config: The config, without ``work_dir``.
    """
    cfg = configs.small_config(row.kind, roots, weights, seed)
    maps = tuple(side // configs.STRIDE for side in SIZE)
    configs.take_size(cfg, SIZE, maps)
    if not row.kind.graph:
        cfg.model.head['loss_memory']['size'] = maps
    cfg.val_dataloader = cfg.test_dataloader[0]
    if row.kind.graph:
        cfg.train_cfg.max_epochs = configs.EPOCHS
    else:
        cfg.train_cfg.max_epochs = TESTS
        batches = IMAGES // TESTS // row.kind.batch
        cfg.train_dataloader.batch_sampler = dict(type='FixedLengthBatchSampler', batches_per_epoch=batches)
    cfg.param_scheduler = []
    return cfg


def train(work_dir: Path, row: Row, roots: dict[str, Path], weights: Path | None, seed: int) -> dict:
    """Trains a row and tests it in all domains, see :func:`watched`."""
    world = make_world(configs.DOMAINS[0], seed, SIZE, classes=row.classes)[0]
    found = watched(small_config(row, roots, weights, seed), world, work_dir)
    remove_checkpoints(work_dir)
    return found


def settings(weights: Path) -> str:
    """Names everything that all results depend on."""
    return settings_hash(configs.WORLD, configs.PLAN, GENERATOR_VERSION, weights.name)


def definition(row: Row) -> str:
    """Names what the results of a row depend on besides."""
    cfg = small_config(row, dict.fromkeys(configs.DOMAINS, Path()), None, 0)
    return settings_hash(cfg.to_dict(), row.classes)


def run_seed(seed: int, rows: list[Row], work_dir: Path, weights: Path | None, results: Results) -> None:
    """Does all runs of a seed that are not done yet.

    Args:
        seed (int): Seed of people and training.
        rows (list[Row]): Rows of the table to train.
        work_dir (Path): Where the runs go.
        weights (Path, optional): The warm start.
        results (Results): The finished runs.
    """
    for row in rows:
        do = partial(run_row, results, seed, folder=work_dir / f'growth{seed}-{row.classes}', tell=told)
        draw = partial(draw_people, work_dir / f'people{seed}-{row.classes}', seed, SIZE, classes=row.classes)
        do('people', lambda run_dir, draw=draw: dict(drawn=list(draw())), definition=str(row.classes))
        given = dict(roots=draw(), weights=weights, seed=seed)
        do('floors', partial(floors, size=SIZE, **given), definition=str(row.classes))
        do(row.name, partial(train, row=row, **given), definition=definition(row))


def of_table(rows: list[Row], lines: list[dict], seeds: list[int]) -> list[dict]:
    """Chooses the lines of a table: those of its rows as they are now, and of their people and floors."""
    wanted = {*(str(row.classes) for row in rows), *map(definition, rows)}
    return [line for line in lines if line['seed'] in seeds and line.get('definition') in wanted]


def report(_: str, rows: list[Row], lines: list[dict]) -> str:
    """Makes the table: for each number of classes, the time to the mAP that both ways reach."""
    text = [['', 'ms per iteration', 'best mAP', 'seconds to the mAP of both', *HEAD, 'seeds']]
    for classes in sorted({row.classes for row in rows}):
        own = floor_rows([line for line in lines if line['definition'] == str(classes)], scores, 3)
        text += [[f'{name}, {classes} classes', *cells, ''] for name, *cells in own]
    for row in rows:
        runs = of_row(lines, row.name)
        others = [of_row(lines, other.name) for other in rows if other.classes == row.classes]
        common = {seed: min(best(other[seed]) for other in others if seed in other) for seed in runs}
        if runs:
            counts = [sum(epoch['iterations'] for epoch in run['epochs']) for run in runs.values()]
            speed = [1000 * run['train_seconds'] / count for run, count in zip(runs.values(), counts, strict=True)]
            times = [first_at(run, common[seed], row.kind.batch)[0] for seed, run in runs.items()]
            cells = [spread(speed, '.0f'), spread([best(run) for run in runs.values()]), spread(times, '.0f')]
            text.append([row.name, *cells, *scores(list(runs.values())), str(len(runs))])
    return '\n'.join([table(text), '', cost(lines, rows)])


if __name__ == '__main__':
    compare(__doc__, 'gs', TABLES, settings, run_seed, of_table, report)
