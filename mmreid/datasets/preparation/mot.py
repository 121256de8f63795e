# Copyright (c) mmreid contributors. All rights reserved.
"""Reads sequences of tracked people in the format of MOTChallenge (Milan et al., arXiv:1603.00831)."""

import configparser
import math
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePath

from mmreid.datasets.readers.image_files import list_folders, list_images

from .box_csv import read_box_csv
from .boxes import Box, read_boxes
from .frames import Frames, ImageFrames, VideoFrames, is_video

TREE = """  {root}/
    seqinfo.ini            (optional: frameRate, imDir)
    img1/000001.jpg ...
    gt/gt.txt              (frame,id,left,top,width,height,flag[,class,visibility])"""
DETECTORS = ('-DPM', '-FRCNN', '-SDP')


@dataclass(frozen=True)
class MotSequence:
    """One sequence: what a camera sees for a while.

    Attributes:
        name (str): Name of its folder or video.
        frame_rate (float | None): Frames per second; None if unknown.
        frames (Frames): Its frames.
        boxes (list[Box]): Boxes to consider (flag not 0), sorted by frame and identity.
        annotations (Path): The file of the boxes.
    """

    name: str
    frame_rate: float | None
    frames: Frames
    boxes: list[Box]
    annotations: Path


def find_sequences(sources: list[Path], pattern: str = '*') -> list[Path]:
    """Finds the sequences in folders.

    Args:
        sources (list[Path]): Sequences, videos, or folders that hold sequences.
        pattern (str): Pattern of their names, with ``*``. Defaults to all.

    Returns:
        list[Path]: Folders with a ``gt`` folder, and videos, by name.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If two have the same name, or the same images and another detector.
    """
    found = []
    for source in sources:
        if is_video(source):
            found += [source] if fnmatch(source.name, pattern) else []
            continue
        if not source.is_dir():
            raise FileNotFoundError(
                f'{source} is neither a video nor a folder; expected a sequence like this:\n{TREE.format(root=source)}'
            )
        inner = [source] if (source / 'gt').is_dir() else [source / name for name in list_folders(source)]
        found += [folder for folder in inner if (folder / 'gt').is_dir() and fnmatch(folder.resolve().name, pattern)]
    if not found:
        raise FileNotFoundError(
            f"no sequence named '{pattern}' in {', '.join(map(str, sources))}; expected this layout:\n"
            f'{TREE.format(root="<sequence>")}'
        )
    names: dict[str, str] = {}
    for folder in found:
        name = folder.resolve().name
        bare = next((name.removesuffix(suffix) for suffix in DETECTORS if name.endswith(suffix)), name)
        if bare in names:
            raise ValueError(
                f"'{names[bare]}' and '{name}' are the same images; choose one of each, e.g. with "
                f"--sequences '*{name.removeprefix(bare) or name}'"
            )
        names[bare] = name
    return sorted(found, key=lambda folder: folder.resolve().name)


def read_sequence(path: Path, boxes: Path | None = None) -> MotSequence:
    """Reads one sequence.

    Args:
        path (Path): A folder with ``img1`` and ``gt``, or a video.
        boxes (Path, optional): The boxes: a CSV file, see :func:`read_box_csv`, or one in the format of ``gt.txt``.
            Defaults to None, ``gt/gt.txt`` in a folder, and the CSV file beside a video that has its name.

    Returns:
        MotSequence: Frames and boxes.

    Raises:
        FileNotFoundError: If a part is missing.
        CorruptImageError: If the video cannot be opened.
        ValueError: If a file is malformed, with the line.
    """
    if is_video(path):
        boxes = boxes or path.with_suffix('.csv')
        if not boxes.is_file():
            raise FileNotFoundError(f'{boxes}, the boxes of the video {path.name}, is missing; name it with --boxes')
        found = _read_boxes(boxes, boxes.name)
        video = VideoFrames(path)
        return MotSequence(path.resolve().stem, video.rate, video, found, boxes)
    info = _read_info(path)
    boxes = boxes or path / 'gt' / 'gt.txt'
    found = _read_boxes(boxes, TREE.format(root=path))
    return MotSequence(path.resolve().name, info.get('frameRate'), _image_frames(path, info), found, boxes)


def _read_boxes(path: Path, expected: str) -> list[Box]:
    return read_box_csv(path) if path.suffix.lower() == '.csv' else read_boxes(path, expected)


def _image_frames(folder: Path, info: dict) -> ImageFrames:
    image_folder = folder / info.get('imDir', 'img1')
    inside = PurePath(info.get('imDir', '').replace('\\', '/'))
    if inside.is_absolute() or '..' in inside.parts:
        raise ValueError(f'{folder / "seqinfo.ini"} has imDir={inside}, which leaves the folder of the sequence')
    if not image_folder.is_dir():
        raise FileNotFoundError(f'{image_folder} is missing; expected\n{TREE.format(root=folder)}')
    images = {int(Path(name).stem): image_folder / name for name in list_images(image_folder)
              if Path(name).stem.isdecimal()}  # fmt: skip
    if not images:
        raise ValueError(f'{image_folder} holds no image named like 000001.jpg; name the frames so, or give the video')
    return ImageFrames(image_folder, images)


def _read_info(folder: Path) -> dict:
    path = folder / 'seqinfo.ini'
    if not path.is_file():
        return {}
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(path.read_bytes().decode('utf-8-sig'))
        info: dict = dict(parser['Sequence'])
        if 'frameRate' in info:
            info['frameRate'] = float(info['frameRate'])
            if not 0 < info['frameRate'] < math.inf:
                raise ValueError(f'frameRate={info["frameRate"]}')
    except (configparser.Error, KeyError, ValueError) as error:
        raise ValueError(
            f'{path} is malformed ({str(error).splitlines()[0]}); expected [Sequence] with frameRate=30 and imDir=img1'
        ) from error
    return info
