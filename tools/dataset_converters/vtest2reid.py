# Copyright (c) mmreid contributors. All rights reserved.
"""Cuts the ten labeled people out of OpenCV's clip: ``vtest2reid.py vtest.avi --out data/vtest``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmreid.datasets.preparation.crop_folder import check_crop_folder, write_crop_folder
from mmreid.datasets.preparation.vtest_clip import PLAN, read_clip
from mmreid.utils.one_line_errors import one_line_errors


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Cut the ten labeled people out of OpenCV's clip vtest.avi")
    parser.add_argument('clip', type=Path, help='vtest.avi; its SHA-256 is checked')
    parser.add_argument('--out', type=Path, default=Path('data/vtest'), help='folder to create; default data/vtest')
    parser.add_argument('--force', action='store_true', help='replace what an earlier call wrote')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Checks the clip, cuts, and prints the counts."""
    args = parse_args(argv)
    check_crop_folder(args.out, args.force)
    rows, _ = write_crop_folder([read_clip(args.clip)], PLAN, args.out, force=args.force)
    print(
        f'{args.out}: {len(rows)} images of {len({row["track"] for row in rows})} people in '
        f'{len({row["tracklet"] for row in rows})} tracklets, which count as cameras'
    )


if __name__ == '__main__':
    with one_line_errors():
        main()
