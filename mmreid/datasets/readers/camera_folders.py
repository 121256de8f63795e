# Copyright (c) mmreid contributors. All rights reserved.
"""Reads folders of the form camera/identity/image."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mmengine.logging import print_log

from .image_files import list_folders, list_images


def identity_folders(camera: Path) -> dict[int, Path]:
    """Lists the folders of the identities of a camera.

    Args:
        camera (Path): Folder of the camera; its folders are named by identity, with or without leading zeros.

    Returns:
        dict[int, Path]: Folder of each identity.

    Raises:
        ValueError: If there is none, or two have the same number.
    """
    folders: dict[int, Path] = {}
    for name in list_folders(camera):
        if not name.isdecimal():
            continue
        if int(name) in folders:
            raise ValueError(
                f'{camera} holds two folders of the same identity, {folders[int(name)].name} and {name}; '
                'merge or remove one'
            )
        folders[int(name)] = camera / name
    if not folders:
        found = ', '.join([*list_folders(camera), *list_images(camera)][:3])
        raise ValueError(
            f'{camera} holds no identity folder such as {camera.name}/0001, but {found or "nothing"}; '
            'was the archive unpacked fully, and not one level too deep?'
        )
    return folders


def walk_images(cameras: Mapping[int, Mapping[int, Path]], pids: Iterable[int]) -> Iterator[tuple[int, int, int, Path]]:
    """Yields the images of some identities: by identity, then by camera, then by name.

    The published gallery draws visit the files in this order. Empty folders are reported in a warning at the end.

    Args:
        cameras (Mapping[int, Mapping[int, Path]]): Identity folders of each camera, see :func:`identity_folders`.
        pids (Iterable[int]): The identities; one may be missing in any camera.

    Yields:
        tuple[int, int, int, Path]: Identity, camera, position of the image in its folder from 0 in name order, image.

    Raises:
        ValueError: If all folders of a camera are empty.
    """
    empty: list[tuple[int, Path]] = []
    for pid in sorted(pids):
        for camera in sorted(cameras):
            folder = cameras[camera].get(pid)
            if folder is not None:
                names = list_images(folder)
                for index, name in enumerate(names):
                    yield pid, camera, index, folder / name
                if not names:
                    empty.append((camera, folder))
    if not empty:
        return
    for camera, folder in dict(reversed(empty)).items():
        if not any(list_images(other) for other in cameras[camera].values()):
            raise ValueError(
                f'{folder.parent} holds {len(cameras[camera])} identity folders but no image in any of them; was the '
                'archive unpacked fully?'
            )
    print_log(
        f'{len(empty)} identity folders are empty, the first is {empty[0][1]}; was the archive unpacked fully?',
        logger='current',
        level=logging.WARNING,
    )
