# Copyright (c) mmreid contributors. All rights reserved.
"""What it costs to match visible with infrared clusters before an epoch of ADCA's stage 2, up to the size of SYSU-MM01.

Features have the structure of re-ID features, and true identities are the clusters. One process, one thread; times are
processor times, memory is the highest resident size meanwhile, above that with the features in place.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from claims.peak_memory import PeakMemory  # noqa: E402
from claims.reid_features import People  # noqa: E402
from claims.results import table, write_section  # noqa: E402
from claims.runs import ensure_environment  # noqa: E402

from mmreid.models.memories import match_clusters  # noqa: E402

DIMS, SEED = 2048, 0
SYSU = (22_258, 11_909)  # visible and infrared images of the training set
PARTS = (4, 2, 1)  # of SYSU-MM01


def measure(num_visible: int, num_infrared: int) -> list[str]:
    """Matches clusters once; gives a line of the table."""
    number = num_visible + num_infrared
    feats, people, _ = People(number, DIMS, SEED).images(number, SEED + 1)
    labels = torch.from_numpy(np.unique(people, return_inverse=True)[1])
    sides = [part.split([num_visible, num_infrared]) for part in (torch.from_numpy(feats), labels)]
    with PeakMemory() as memory:
        start = time.process_time()
        visible, infrared = match_clusters(*sides[0], *sides[1])
        seconds = time.process_time() - start
    right = 100 * (visible == infrared).float().mean()
    cells = [f'{seconds:.1f}', f'{memory.megabytes:.0f}', f'{len(visible):,}', f'{right:.0f}']
    return [f'{num_visible:,} x {num_infrared:,}', *cells]


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--parts', type=int, nargs='+', default=PARTS, help='fractions of SYSU-MM01: 4 is a quarter')
    parser.add_argument('--readme', action='store_true', help='also write the table into the README')
    args = parser.parse_args()
    rows = [['visible x infrared images', 'processor seconds', 'memory, MB', 'matches', 'of them right, %']]
    for part in args.parts:
        rows.append(measure(*(size // part for size in SYSU)))
        print(table([rows[0], rows[-1]]), flush=True)
    text = table(rows)
    print(text)
    if args.readme:
        write_section(Path(__file__).with_name('README.md'), 'matching', text)


if __name__ == '__main__':
    ensure_environment()
    torch.set_num_threads(1)
    main()
