# Copyright (c) mmreid contributors. All rights reserved.
"""The clip vtest.avi of OpenCV with our labels: which file it is, and which crops its one protocol takes."""

from pathlib import Path

from mmreid.utils.file_hash import sha256_of

from .mot import MotSequence, read_sequence
from .mot_crops import CropPlan

SHA256 = '45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf'
LABELS = Path(__file__).parents[1] / 'labels' / 'vtest_person_labels.csv'
#: Every third labeled frame (every second frame has labels), at least 30 x 12 pixels.
PLAN = CropPlan(every=6, min_height=30, min_width=12, tracklet_cameras=True)


def read_clip(path: Path) -> MotSequence:
    """Reads the clip and its labels.

    Args:
        path (Path): The file ``vtest.avi``.

    Returns:
        MotSequence: Its frames and the boxes of the label table.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is another file.
    """
    if not path.is_file():
        raise FileNotFoundError(f'the clip {path} does not exist; docs/en/datasets/vtest.md says where to get it')
    digest = sha256_of(path)
    if digest != SHA256:
        raise ValueError(
            f'{path} has the SHA-256 {digest}, not {SHA256}, so the labels may not fit; get the clip as '
            'docs/en/datasets/vtest.md says'
        )
    return read_sequence(path, LABELS)
