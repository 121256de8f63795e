# Copyright (c) mmreid contributors. All rights reserved.
"""Reads the list files of data sets: one image and its label a line."""

import logging
import posixpath
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import print_log

# Where lists number training and test identities from 0 each, those of the test are moved past the others.
TEST_PID_OFFSET = 10_000


def read_text(path: str | Path, expected: str) -> str:
    """Reads a small text file of a data set.

    Args:
        path (str | Path): The file. UTF-8, with or without a byte order mark, any line ends.
        expected (str): The tree that was expected, for the message.

    Returns:
        str: The text.

    Raises:
        FileNotFoundError: If it is missing.
        ValueError: If it is not UTF-8.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'the file {path} is missing; expected this layout:\n{expected}')
    try:
        return path.read_bytes().decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not UTF-8 text ({error}); save it as UTF-8 or unpack the archive again') from error


def read_labeled_images(path: str | Path, expected: str) -> list[tuple[int, str, int]]:
    """Reads rows of the form ``relative/path.jpg label``.

    Blank lines, line ends of any system, backslashes and a '/' or './' at the beginning are fine. A row that comes
    again is dropped, with a warning that counts them; the same image with two labels is refused.

    Args:
        path (str | Path): The list file.
        expected (str): The tree that was expected, for the message.

    Returns:
        list[tuple[int, str, int]]: Line number from 1, image path with forward slashes, label.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If a row is malformed, an image has two labels, there is no row, or a label is so high that it would
            be taken for a test identity.
    """
    rows: list[tuple[int, str, int]] = []
    labels: dict[str, int] = {}
    again = 0
    for number, line in enumerate(read_text(path, expected).splitlines(), 1):
        if not line.strip():
            continue
        image, _, label = line.strip().rpartition(' ')
        image = image.strip().replace('\\', '/').lstrip('/')
        if not image or not label.isdecimal() or len(label) > 17:
            raise ValueError(
                f"{path} line {number}: expected 'relative/path.jpg label' with a label of digits, got "
                f'{line.strip()!r:.200}'
            )
        if int(label) >= TEST_PID_OFFSET:
            raise ValueError(
                f'{path} line {number}: label {label} is not below {TEST_PID_OFFSET}, from where test identities '
                'are counted; number the identities from 0'
            )
        # Some copies of RegDB's lists write /Visible/1/x.bmp, for code that glues two strings together.
        image = posixpath.normpath(image)
        if image in labels:
            if labels[image] != int(label):
                raise ValueError(
                    f'{path} line {number}: {image} has the label {int(label)} here and {labels[image]} before; '
                    'keep the right row only'
                )
            again += 1
            continue
        labels[image] = int(label)
        rows.append((number, image, int(label)))
    if not rows:
        raise ValueError(f'{path} holds no row; was the archive unpacked fully?')
    if again:
        print_log(f'{path}: {again} rows came again and were dropped', logger='current', level=logging.WARNING)
    return rows


def check_folders(path: str | Path, rows: Sequence[tuple[int, str, int]], folders: dict[int, str], depth: int) -> None:
    """Refuses a label that images in folders of two identities have, which would be taken for one person.

    Args:
        path (str | Path): The list file, for the message.
        rows (Sequence[tuple[int, str, int]]): Line number, path with forward slashes, label.
        folders (dict[int, str]): Folder of each label, of the lists before this one; it is filled further.
        depth (int): How many folders a path has at the least if the last of them is the identity's.

    Raises:
        ValueError: If a label is in two folders.
    """
    for number, image, label in rows:
        parents = image.split('/')[:-1]
        if len(parents) >= depth and folders.setdefault(label, parents[-1]) != parents[-1]:
            raise ValueError(
                f'{path} line {number}: {image} has the label {label}, as the images in the folder {folders[label]} '
                f'have before it, so two identities ({folders[label]} and {parents[-1]}) would be one; restore the list'
            )
