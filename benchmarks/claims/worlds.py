# Copyright (c) mmreid contributors. All rights reserved.
"""The runs of a world: its people are drawn, the floors are tested, and every row is trained once."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from claims.results import Results
from claims.runs import run_row


def run_world(
    seed: int,
    rows: list,
    work_dir: Path,
    weights: Path,
    results: Results,
    draw: Callable[[Path, int], Any],
    floors: Callable[..., dict],
    train: Callable[..., dict],
    definition: Callable[[Any], str],
) -> None:
    """Does all runs of a seed that are not done yet.

    Args:
        seed (int): Seed of people and training.
        rows (list): Rows of the table to train; each has a ``name``.
        work_dir (Path): Where the runs go.
        weights (Path): The warm start.
        results (Results): The finished runs.
        draw (Callable[[Path, int], Any]): Draws the people of a seed in a folder, or finds them; says where they are.
        floors (Callable[..., dict]): Tests the floors in a folder: ``roots`` of the people, ``weights``, ``seed``.
        train (Callable[..., dict]): Trains and tests a ``row`` likewise.
        definition (Callable[[Any], str]): Names what the results of a row depend on.
    """
    people = work_dir / f'people{seed}'

    def people_are_drawn(_: Path) -> dict:
        draw(people, seed)
        return {}

    do = partial(run_row, results, seed, folder=work_dir / f'seed{seed}')
    do('people', people_are_drawn)
    given = dict(roots=draw(people, seed), weights=weights, seed=seed)
    do('floors', partial(floors, **given))
    for row in rows:
        do(row.name, partial(train, row=row, **given), definition=definition(row))


def lines_of(definition: Callable[[Any], str], rows: list, lines: list[dict], seeds: list[int]) -> list[dict]:
    """Chooses the lines of a table: those of its rows as they are now, and of people and floors."""
    wanted = {('people', None), ('floors', None), *((row.name, definition(row)) for row in rows)}
    return [line for line in lines if line['seed'] in seeds and (line['row'], line.get('definition')) in wanted]
