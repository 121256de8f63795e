# Copyright (c) mmreid contributors. All rights reserved.
"""Compares samplers for QAConv from where its loss has left the margin.

``python benchmarks/gs/parting_claim.py distinct --seeds 36 37 38`` draws people, trains, tests and prints a table; the
other table, ``alike``, is on people with near-duplicates. Finished runs are lines of ``results.jsonl``: the same
command, given again, goes on after the last of them, and several may run side by side for different seeds.
"""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gs_configs as configs  # noqa: E402
from claims.command_line import compare  # noqa: E402
from claims.results import Results, settings_hash, spread, table  # noqa: E402
from claims.runs import end_of, folder_name, run_row  # noqa: E402
from claims.tables import cost, floor_rows, gain, of_row  # noqa: E402
from gs_claim import told  # noqa: E402
from gs_report import HEAD, scores  # noqa: E402
from gs_runs import BatchWatch, draw_people, floors, make_world, watched  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.hooks import Hook  # noqa: E402

from mmreid.datasets.synthetic import GENERATOR_VERSION  # noqa: E402
from mmreid.engine import ReIDRunner  # noqa: E402
from mmreid.registry import HOOKS  # noqa: E402

PEOPLE = dict(alike=configs.WORLD, distinct=dict(configs.WORLD, cluster_fraction=0.0))
SIZE = (64, 32)  # of the warm start, which tells people apart at this size only
MAPS = (8, 4)  # the third stage keeps the size of the second
MARGIN = configs.LOSSES['score triplet']['margin']
LEFT = 0.75 * MARGIN  # mean loss of an epoch after which the samplers part
MOST = 24  # epochs until then
EPOCHS = 4  # of the other rows; under SGD, the rate drops before the last


@dataclass(frozen=True)
class Row:
    """A training.

    Attributes:
        people (str): Key of ``PEOPLE``.
        name (str): Name in the table.
        after (Row, optional): The training that it goes on from. Defaults to None, the warm start.
        graph (bool): Graph sampling instead of random identities.
        until_left (bool): End when the loss has left the margin.
    """

    people: str
    name: str
    after: 'Row | None' = None
    graph: bool = False
    until_left: bool = False


PK, GS = 'random identities', 'graph sampling'


def rows_of(people: str) -> list[Row]:
    """Lists the trainings on one kind of people."""
    adam = Row(people, 'random identities, Adam')
    leaving = Row(people, 'random identities until the loss leaves the margin', after=adam, until_left=True)
    return [adam, leaving, Row(people, PK, after=leaving), Row(people, GS, after=leaving, graph=True)]


TABLES = {people: rows_of(people) for people in PEOPLE}


@HOOKS.register_module()
class StopWhenLoss(Hook):
    """Ends a training after the first epoch whose mean loss is below a limit."""

    def __init__(self, below: float) -> None:
        self.below = below

    def after_train_epoch(self, runner: ReIDRunner) -> None:
        """Looks at the loss that :class:`BatchWatch` has noted."""
        watch = next(hook for hook in runner.hooks if isinstance(hook, BatchWatch))
        runner.train_loop.stop_training = watch.epochs[-1]['loss'] < self.below


def small_config(row: Row, roots: dict[str, Path], start: Path | None, seed: int) -> Config:
    """Reads a shipped config and makes it small, with the published optimizer except for the first row.

    Args:
        row (Row): What to train.
        roots (dict[str, Path]): The people of each domain.
        start (Path, optional): The warm start, or the end of the row before. None leaves the backbone random.
        seed (int): Seed of the run.

    Returns:
        Config: The config, without ``work_dir``.
    """
    kind = configs.PUBLISHED[row.graph] if row.after else configs.PK_QACONV
    cfg = configs.small_config(kind, roots, None if row.after else start, seed)
    cfg.model.backbone.strides = (1, 2, 1, 1)
    configs.take_size(cfg, SIZE, MAPS)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=MOST if row.until_left else EPOCHS)
    cfg.train_dataloader.sampler.warmup = 0 if row.graph else cfg.train_cfg.max_epochs
    cfg.load_from = str(start) if row.after else None
    if row.until_left:
        cfg.param_scheduler = []
        cfg.custom_hooks = [*cfg.custom_hooks, dict(type='StopWhenLoss', below=LEFT)]
        cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=1)
    elif row.after:
        cfg.param_scheduler = [dict(type='MultiStepLR', milestones=[EPOCHS - 1], gamma=0.1, by_epoch=True)]
    return cfg


def train(work_dir: Path, row: Row, roots: dict[str, Path], weights: Path | None, seed: int) -> dict:
    """Trains a row and tests it in all domains, see :func:`watched`; and the one before, if it is not there."""
    if row.after:
        before = work_dir.with_name(folder_name(row.after.name))
        weights = end_of(before, partial(train, before, row.after, roots, weights, seed))
    world = make_world(configs.DOMAINS[0], seed, SIZE, PEOPLE[row.people])[0]
    return watched(small_config(row, roots, weights, seed), world, work_dir)


def settings(weights: Path) -> str:
    """Names everything that all results depend on."""
    return settings_hash(PEOPLE, configs.PLAN, GENERATOR_VERSION, weights.name)


def definition(row: Row) -> str:
    """Names what the results of a row depend on besides, the rows before it included."""
    cfg = small_config(row, dict.fromkeys(configs.DOMAINS, Path()), None, 0)
    return settings_hash(cfg.to_dict(), row.people, definition(row.after) if row.after else '')


def run_seed(seed: int, rows: list[Row], work_dir: Path, weights: Path | None, results: Results) -> None:
    """Does all runs of a seed that are not done yet.

    Args:
        seed (int): Seed of people and training.
        rows (list[Row]): Rows of the table to train; all on the same people.
        work_dir (Path): Where the runs go.
        weights (Path, optional): The warm start.
        results (Results): The finished runs.
    """
    people = rows[0].people
    draw = partial(draw_people, work_dir / f'people{seed}-{people}', seed, SIZE, PEOPLE[people])
    do = partial(run_row, results, seed, folder=work_dir / f'{people}{seed}', tell=told)
    do('people', lambda run_dir: dict(drawn=list(draw())), definition=people)
    given = dict(roots=draw(), weights=weights, seed=seed)
    do('floors', partial(floors, size=SIZE, **given), definition=people)
    for row in rows:
        do(row.name, partial(train, row=row, **given), definition=definition(row))


def of_table(rows: list[Row], lines: list[dict], seeds: list[int]) -> list[dict]:
    """Chooses the lines of a table: those of its rows as they are now, and of their people and floors."""
    wanted = {rows[0].people, *map(definition, rows)}
    return [line for line in lines if line['seed'] in seeds and line.get('definition') in wanted]


def report(_: str, rows: list[Row], lines: list[dict]) -> str:
    """Makes the table."""
    text = [['', 'epochs', 'scale, end', 'loss, end', *HEAD, 'seeds'], *floor_rows(lines, scores, 3)]
    for row in rows:
        runs = list(of_row(lines, row.name).values())
        if runs:
            cells = [', '.join(str(len(run['epochs'])) for run in runs)]
            cells += [spread([run['epochs'][-1][name] for run in runs]) for name in ('scale', 'loss')]
            text.append([row.name, *cells, *scores(runs), str(len(runs))])
    gains = [gain(lines, GS, PK, domain) for domain in configs.DOMAINS]
    parts = '; '.join(f'{domain} {value}' for domain, value in zip(configs.DOMAINS, gains, strict=True) if value)
    return '\n'.join([table(text), '', f'mAP of {GS} above {PK}: {parts}.  ', cost(lines, rows)])


if __name__ == '__main__':
    compare(__doc__, 'gs', TABLES, settings, run_seed, of_table, report)
