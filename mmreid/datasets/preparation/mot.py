# Copyright (c) mmreid contributors. All rights reserved.
"""Reads sequences of tracked people in the format of MOTChallenge (Milan et al., arXiv:1603.00831)."""

import configparser
import math
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePath

from mmreid.datasets.readers.image_files import list_folders, list_images
from mmreid.datasets.readers.list_rows import read_text

TREE = """  {root}/
    seqinfo.ini            (optional: frameRate, imDir)
    img1/000001.jpg ...
    gt/gt.txt              (frame,id,left,top,width,height,flag[,class,visibility])"""
LARGEST = 1e9  # of any number; pixels, frames and identities are far below
DETECTORS = ('-DPM', '-FRCNN', '-SDP')


@dataclass(frozen=True)
class Box:
    """One person in one frame.

    Attributes:
        frame (int): Number of the frame, from 1.
        track (int): Identity within the sequence.
        left, top, width, height (float): The box in pixels; (0, 0) is the corner of the image.
        klass (int | None): Class, 1 for a pedestrian; None if the file has none.
        visibility (float | None): Visible fraction, 0 to 1; None if the file has none.
    """

    frame: int
    track: int
    left: float
    top: float
    width: float
    height: float
    klass: int | None
    visibility: float | None


@dataclass(frozen=True)
class MotSequence:
    """One sequence: what a camera sees for a while.

    Attributes:
        name (str): Name of its folder.
        frame_rate (float | None): Frames per second; None if unknown.
        frames (dict[int, Path]): Image of each frame.
        boxes (list[Box]): Boxes to consider (flag not 0), sorted by frame and identity.
        annotations (Path): The file of the boxes.
    """

    name: str
    frame_rate: float | None
    frames: dict[int, Path]
    boxes: list[Box]
    annotations: Path


def find_sequences(sources: list[Path], pattern: str = '*') -> list[Path]:
    """Finds the sequences in folders.

    Args:
        sources (list[Path]): Sequences, or folders that hold sequences.
        pattern (str): Pattern of their names, with ``*``. Defaults to all.

    Returns:
        list[Path]: Folders with a ``gt`` folder, by name.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If two have the same name, or the same images and another detector.
    """
    found = []
    for source in sources:
        if not source.is_dir():
            raise FileNotFoundError(
                f'{source} is not a folder; expected a sequence like this:\n{TREE.format(root=source)}'
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


def read_sequence(folder: Path) -> MotSequence:
    """Reads one sequence.

    Raises:
        FileNotFoundError: If a part is missing.
        ValueError: If a file is malformed, with the line.
    """
    info = _read_info(folder)
    image_folder = folder / info.get('imDir', 'img1')
    inside = PurePath(info.get('imDir', '').replace('\\', '/'))
    if inside.is_absolute() or '..' in inside.parts:
        raise ValueError(f'{folder / "seqinfo.ini"} has imDir={inside}, which leaves the folder of the sequence')
    if not image_folder.is_dir():
        raise FileNotFoundError(f'{image_folder} is missing; expected\n{TREE.format(root=folder)}')
    frames = {int(Path(name).stem): image_folder / name for name in list_images(image_folder)
              if Path(name).stem.isdecimal()}  # fmt: skip
    if not frames:
        raise ValueError(f'{image_folder} holds no image named like 000001.jpg; extract the frames of the video first')
    annotations = folder / 'gt' / 'gt.txt'
    return MotSequence(
        folder.resolve().name, info.get('frameRate'), frames, read_boxes(annotations, TREE.format(root=folder)),
        annotations,
    )  # fmt: skip


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


def read_boxes(path: Path, expected: str) -> list[Box]:
    """Reads ``gt.txt``: frame, id, left, top, width, height, flag[, class, visibility], counted from 1.

    Rows with flag 0 are left out, as the format says. Files of ten columns (MOT15) have no class and visibility.

    Args:
        path (Path): The file.
        expected (str): The expected tree, for the message.

    Returns:
        list[Box]: Boxes, sorted by frame and identity.

    Raises:
        FileNotFoundError: If it is missing.
        ValueError: If a row is malformed, or one identity has two boxes in a frame.
    """
    boxes: dict[tuple[int, int], tuple[int, Box]] = {}
    for number, line in enumerate(read_text(path, expected).splitlines(), 1):
        if not line.strip():
            continue
        box = _box(line, f'{path} line {number}')
        if box is None:
            continue
        before, _ = boxes.setdefault((box.frame, box.track), (number, box))
        if before != number:
            raise ValueError(
                f'{path} line {number}: identity {box.track} is in frame {box.frame} already, on line {before}; '
                'keep the right one'
            )
    if not boxes:
        raise ValueError(f'{path} has no box to consider (a flag of 0 in the seventh column means to ignore it)')
    return [boxes[key][1] for key in sorted(boxes)]


def _box(line: str, place: str) -> Box | None:
    try:
        values = [float(cell) for cell in line.split(',')]
    except ValueError:
        values = []
    if not 6 <= len(values) <= 10 or not all(abs(value) < LARGEST for value in values):
        raise ValueError(
            f'{place}: expected 6 to 10 numbers (frame,id,left,top,width,height,flag,class,visibility), got '
            f'{line!r:.200}'
        )
    frame, track, left, top, width, height = values[:6]
    if frame < 1 or frame % 1 or track < 0 or track % 1:
        raise ValueError(
            f'{place}: frame {frame:g} must count from 1 and identity {track:g} from 0; an identity of -1 is that of a '
            'detection file, so give the ground truth or tracks'
        )
    if len(values) > 6 and values[6] == 0:
        return None
    with_class = len(values) in (8, 9)
    return Box(
        int(frame), int(track), left - 1, top - 1, width, height,
        int(values[7]) if with_class else None, values[8] if len(values) == 9 else None,
    )  # fmt: skip
