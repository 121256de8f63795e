# Copyright (c) mmreid contributors. All rights reserved.
"""Writes divided images as a CSV file or as folders, and the config that reads them."""

import csv
import io
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

COLUMNS = ('img_path', 'pid', 'camid', 'split')
BASE = 'configs/baseline/bot_resnet50_1xb64-120e_market1501-256x128.py'
BATCH_IDS, INSTANCES = 16, 4  # of configs for Market-1501: identities of a batch, images of each


def csv_text(rows: Sequence[dict], with_cameras: bool) -> str:
    """Writes rows as CSV in the form that ``CsvReIDDataset`` reads.

    Args:
        rows (Sequence[dict]): Rows with ``img_path``, ``pid``, ``camid``, ``split`` and other columns.
        with_cameras (bool): Whether to write ``camid``.

    Raises:
        ValueError: If a cell would not be read back unchanged.
    """
    for row in rows:
        _check_cells(row, ('img_path', 'pid', 'camid') if with_cameras else ('img_path', 'pid'))
    columns = [column for column in COLUMNS if with_cameras or column != 'camid']
    columns += [column for column in rows[0] if column not in COLUMNS]
    with io.StringIO(newline='') as file:
        writer = csv.DictWriter(file, columns, extrasaction='ignore', lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
        return file.getvalue()


def _check_cells(row: dict, columns: Sequence[str]) -> None:
    for column in columns:
        cell = row[column]
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in cell):
            fault = 'a line break or a control character'
        elif cell != cell.strip():
            fault = 'a blank at one end'
        elif column == 'img_path' and '\\' in cell:
            fault = 'a backslash'
        else:
            continue
        raise ValueError(
            f'{row["img_path"]!r} has {fault} in {column} {cell!r}, which a CSV file cannot hold; rename the file or '
            'its folder'
        )


def write_folders(
    rows: Sequence[dict],
    root: Path,
    out: Path,
    link: bool,
    with_cameras: bool,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Writes rows as ``split/identity/camera/image``, in the form that ``FolderReIDDataset`` reads.

    Args:
        rows (Sequence[dict]): Rows with ``img_path``, ``pid``, ``camid`` and ``split``.
        root (Path): Folder that the paths are relative to.
        out (Path): Folder to fill.
        link (bool): Whether to make symbolic links instead of copies.
        with_cameras (bool): Whether to make a folder for each camera.
        progress (Callable): Called after each image.

    Raises:
        ValueError: If an id cannot be the name of a folder.
        OSError: If a file cannot be copied or linked.
    """
    taken: set[Path] = set()
    for row in rows:
        _check_names(row, with_cameras)
        folder = out / row['split'] / row['pid'] / (row['camid'] if with_cameras else '')
        source = root / row['img_path']
        target = folder / source.name
        if target in taken:  # images of the same name from different folders
            target = folder / row['img_path'].lstrip('/').replace('/', '__')
        stem, count = target.stem, 1
        while target in taken:
            count += 1
            target = target.with_stem(f'{stem}-{count}')
        taken.add(target)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            if link:
                os.symlink(source.resolve(), target)
            else:
                shutil.copyfile(source, target)
        except OSError as error:
            what = 'linked' if link else 'copied'
            raise OSError(error.errno, f'this image could not be {what} ({error.strerror})', str(source)) from error
        progress()


def _check_names(row: dict, with_cameras: bool) -> None:
    for what in ('pid', 'camid') if with_cameras else ('pid',):
        name = row[what]
        if not name or name.startswith('.') or '/' in name or '\\' in name or name.lower() in ('thumbs.db', '__macosx'):
            raise ValueError(
                f"{row['img_path']} has the {what} '{name}', which cannot be the name of a folder; rename it, or write "
                'a CSV file instead of folders'
            )


def config_text(dataset: dict, name: str, base: str, train_ids: int, with_val: bool, cross_camera: bool) -> str:
    """Writes a config that trains and tests the baseline on own data.

    Args:
        dataset (dict): Type and paths of the data set.
        name (str): What its metrics are called.
        base (str): Path of the config to inherit.
        train_ids (int): Number of training identities; if there are few, the batch is smaller.
        with_val (bool): Whether there is a validation split; otherwise the test set is used.
        cross_camera (bool): Whether matches in the same camera are left out.

    Returns:
        str: The text of the config.
    """
    arguments = ', '.join(f'{key}={value!r}' for key, value in dataset.items())
    ids = min(BATCH_IDS, train_ids)
    batch = '' if ids == BATCH_IDS else f'batch_size={ids * INSTANCES}, '  # few training identities
    test = "dict(dataset=dict(**_data, split='{}', name='{}', pipeline={{{{_base_.test_pipeline}}}}))"
    lines = [
        f'_base_ = [{base!r}]',
        '',
        f'_data = dict(_delete_=True, {arguments})',
        f"train_dataloader = dict({batch}dataset=dict(**_data, split='train', pipeline={{{{_base_.train_pipeline}}}}))",
        f'test_dataloader = {test.format("test", name)}',
        f'val_dataloader = {test.format("val", f"{name}-val")}' if with_val else 'val_dataloader = test_dataloader',
    ]
    if not cross_camera:
        lines += ['# There is one camera, so matches in the same camera count.']
        lines += ['val_evaluator = dict(cross_camera=False)', 'test_evaluator = val_evaluator']
    return '\n'.join(lines) + '\n'
