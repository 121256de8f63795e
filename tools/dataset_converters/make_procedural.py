# Copyright (c) mmreid contributors. All rights reserved.
"""Make the procedural people data set in the layout of Market-1501."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.progress import Progress

from mmreid.datasets.synthetic import DOMAINS, MarketPlan, World, write_market1501
from mmreid.datasets.synthetic.contact_sheet import cluster_pids, contact_sheet, save_sheet
from mmreid.datasets.synthetic.market_writer import is_up_to_date

KNOBS = ('cast_strength', 'blur_strength', 'noise_strength', 'crop_jitter', 'pose_variation', 'occlusion_prob',
         'passerby_prob', 'cluster_fraction', 'cluster_size')  # fmt: skip


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv (list[str], optional): Arguments; the ones of the process by default.

    Returns:
        argparse.Namespace: The arguments.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('out_dir', type=Path, help='folder to create, such as data/procedural')
    parser.add_argument('--train-ids', type=int, default=100, help='training identities')
    parser.add_argument('--test-ids', type=int, default=60, help='test identities, others than the training ones')
    parser.add_argument('--images-per-camera', type=int, default=2, help='pictures per identity and camera')
    parser.add_argument('--cameras', type=int, default=4, help='cameras, 2 to 9')
    parser.add_argument('--size', type=int, nargs=2, default=(128, 64), metavar=('H', 'W'), help='picture size')
    parser.add_argument('--seed', type=int, default=0, help='seed; another seed is another world')
    parser.add_argument('--distractors', type=int, default=0, help='gallery pictures with pid 0')
    parser.add_argument('--junk', type=int, default=0, help='gallery pictures with pid -1')
    parser.add_argument('--camstyle', action='store_true', help='also write bounding_box_train_camstyle')
    parser.add_argument('--domain', choices=sorted(DOMAINS), default='default', help='cameras and clothes')
    parser.add_argument('--workers', type=int, default=1, help='processes; the files do not depend on it')
    parser.add_argument('--force', action='store_true', help='replace an older procedural data set in OUT_DIR')
    parser.add_argument('--contact-sheet', type=Path, metavar='PATH', help='also save a picture of some people')
    knobs = parser.add_argument_group('difficulty', 'see mmreid.datasets.synthetic.DomainSpec; the domain decides')
    for knob in KNOBS:
        kind = int if knob == 'cluster_size' else float
        knobs.add_argument(f'--{knob.replace("_", "-")}', type=kind, default=argparse.SUPPRESS, help=' ')
    return parser.parse_args(argv)


def save_contact_sheet(world: World, path: Path) -> None:
    """Save a sheet with ordinary people above and near-duplicates below.

    Args:
        world (World): The world.
        path (Path): JPEG file to write.
    """
    twins = cluster_pids(world, world.people.cluster_size)
    pids = [pid for pid in range(1, 7) if pid not in twins] + twins
    save_sheet(contact_sheet(world, pids), path)
    print(f'Contact sheet: {path}')


def write_with_progress(out_dir: Path, world: World, plan: MarketPlan, workers: int, force: bool) -> dict:
    """Write the data set and show a bar.

    Args:
        out_dir (Path): Folder to create.
        world (World): The world.
        plan (MarketPlan): Sizes.
        workers (int): Processes that draw.
        force (bool): Replace an older procedural data set.

    Returns:
        dict: The manifest.
    """
    with Progress(auto_refresh=False) as bar:  # without its refresh thread, so that worker processes may be forked
        task = bar.add_task('Drawing', total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if done % 50 == 0 or done == total:
                bar.refresh()

        return write_market1501(out_dir, world, plan, workers, force, progress)


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Args:
        argv (list[str], optional): Arguments; the ones of the process by default.

    Returns:
        int: Exit status, 0 for success.
    """
    args = parse_args(argv)
    knobs = {knob: getattr(args, knob) for knob in KNOBS if hasattr(args, knob)}
    try:
        plan = MarketPlan(
            args.train_ids, args.test_ids, args.images_per_camera, args.distractors, args.junk, args.camstyle
        )
        world = World(args.seed, args.domain, args.cameras, tuple(args.size), **knobs)
        if is_up_to_date(args.out_dir, world, plan):
            print(f'{args.out_dir} is done: it already holds this world.')
        else:
            manifest = write_with_progress(args.out_dir, world, plan, args.workers, args.force)
            print(f'{args.out_dir}: ' + ', '.join(f'{count} in {name}' for name, count in manifest['counts'].items()))
        if args.contact_sheet is not None:
            save_contact_sheet(world, args.contact_sheet)
    except (ValueError, FileExistsError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
