# Copyright (c) mmreid contributors. All rights reserved.
"""Reads the list files of data sets: one image and its label per line."""

import logging
import posixpath
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import print_log

# Lists number both training and test identities from 0; this offset moves the latter past the former.
TEST_PID_OFFSET = 10_000


def read_text(path: str | Path, expected: str) -> str:
    """Reads a small UTF-8 file (with or without byte order mark); ``expected`` is the tree for the message."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'the file {path} is missing; expected this layout:\n{expected}')
    try:
        return path.read_bytes().decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not UTF-8 text ({error}); save it as UTF-8 or unpack the archive again') from error


def read_labeled_images(path: str | Path, expected: str) -> list[tuple[int, str, int]]:
    """Reads rows of the form ``relative/path.jpg label``.

    Blank lines, any line ends, backslashes and a leading '/' or './' are fine. Repeated rows are dropped and counted in
    a warning; an image with two labels is refused.

    Args:
        path (str | Path): The list file.
        expected (str): The expected tree, for the message.

    Returns:
        list[tuple[int, str, int]]: Line number from 1, image path with forward slashes, label.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If a row is malformed, an image has two labels, there is no row, or a label is as high as those of
            test identities.
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
                f'{path} line {number}: label {label} is not below {TEST_PID_OFFSET}, where test identities '
                'start; number the identities from 0'
            )
        # Some copies of RegDB's lists write /Visible/1/x.bmp, for code that concatenates strings.
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
        print_log(f'{path}: {again} repeated rows were dropped', logger='current', level=logging.WARNING)
    return rows


def check_folders(path: str | Path, rows: Sequence[tuple[int, str, int]], folders: dict[int, str], depth: int) -> None:
    """Refuses a label of images in the folders of two identities, which would become one person.

    Args:
        path (str | Path): The list file, for the message.
        rows (Sequence[tuple[int, str, int]]): Line number, path with forward slashes, label.
        folders (dict[int, str]): Folder of each label in the lists before this one, which is extended.
        depth (int): Least number of folders in a path whose last folder is an identity's.
    """
    for number, image, label in rows:
        parents = image.split('/')[:-1]
        if len(parents) >= depth and folders.setdefault(label, parents[-1]) != parents[-1]:
            raise ValueError(
                f'{path} line {number}: {image} has the label {label}, as the images in the folder {folders[label]} '
                f'have before it, so two identities ({folders[label]} and {parents[-1]}) would be one; restore the list'
            )
