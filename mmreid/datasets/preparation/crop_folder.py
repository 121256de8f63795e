# Copyright (c) mmreid contributors. All rights reserved.
"""Writes a folder of crops of tracked people, with a list of them."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.progress import Progress

from mmreid.utils.atomic_folder import check_free, resumable_folder, write_marker

from .mot import MotSequence
from .mot_crops import CropPlan, cut_crops, fingerprint, plan_crops

CSV, MARKER = 'crops.csv', 'mot2reid.json'
SPLIT = 'split.csv'  # what make_split.py adds; it does not fit other crops


def write_crop_folder(
    sequences: Sequence[MotSequence], plan: CropPlan, out: Path, workers: int = 4, force: bool = False
) -> tuple[list[dict], Counter[str]]:
    """Cuts the people out and lists them in ``crops.csv``; a call that was killed is continued by the same call.

    Args:
        sequences (Sequence[MotSequence]): Frames and boxes.
        plan (CropPlan): Which boxes become images.
        out (Path): The folder to write; it is complete or not there.
        workers (int): Threads; the files do not depend on it. Defaults to 4.
        force (bool): Whether a folder that an earlier call wrote may be replaced. Defaults to False.

    Returns:
        tuple[list[dict], Counter[str]]: The rows of the list, and how many boxes were left out for which reason.

    Raises:
        FileExistsError: If the folder must be kept.
        ValueError: If no box is left, or the plan asks for what a file lacks.
        CorruptImageError: If a frame cannot be read.
    """
    check_crop_folder(out, force)
    crops, dropped = plan_crops(sequences, plan)
    facts = dict(plan=asdict(plan), crops=fingerprint(crops))
    with resumable_folder(out, facts, lambda: check_crop_folder(out, force)) as folder, Progress() as bar:
        task = bar.add_task('Cutting', total=len(crops))
        rows, lost = cut_crops(crops, plan, folder, workers, lambda count: bar.advance(task, count))
        with (folder / CSV).open('w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator='\n')
            writer.writeheader()
            writer.writerows(rows)
        write_marker(folder, MARKER, asdict(plan) | dict(images=len(rows)))
    return rows, dropped + lost


def check_crop_folder(out: Path, force: bool) -> None:
    """Raises FileExistsError if the folder holds anything else, or crops that may not be replaced."""
    check_free(out, MARKER, force, (SPLIT,))
