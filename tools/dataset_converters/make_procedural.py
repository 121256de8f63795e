# Copyright (c) mmreid contributors. All rights reserved.
"""Makes the procedural people data set in the layout of a real one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.progress import Progress

from mmreid.datasets.synthetic import DOMAINS, LAYOUTS, LayoutPlan, World, write_dataset
from mmreid.datasets.synthetic.contact_sheet import contact_sheet, save_sheet
from mmreid.datasets.synthetic.manifest import is_up_to_date
from mmreid.utils.one_line_errors import sentence_of

KNOBS = (
    *('cast_strength', 'blur_strength', 'noise_strength', 'crop_jitter', 'pose_variation', 'occlusion_prob'),
    *('passerby_prob', 'cluster_fraction', 'cluster_size', 'ir_strength', 'ir_color_dependence', 'ir_texture'),
)
SIZES = {
    'train_ids': (int, 'training identities'),
    'val_ids': (int, 'validation identities'),
    'test_ids': (int, 'test identities, none of them a training identity'),
    'ids': (int, 'identities, divided into training and test halves in ten ways'),
    'images_per_camera': (int, 'images per identity and camera'),
    'camera_fraction': (float, 'fraction of the cameras that see a person, up to 1'),
    'distractors': (int, 'gallery images with pid 0'),
    'junk': (int, 'gallery images with pid -1'),
    'camstyle': (bool, 'also write bounding_box_train_camstyle'),
    'release': (str, 'V1 or V2, which differ in the names of the folders'),
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line; sizes and knobs that were not given are absent from the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out_dir', type=Path, help='folder to create, such as data/procedural-market1501')
    parser.add_argument('--layout', choices=LAYOUTS, default='market1501', help='which data set (default: market1501)')
    parser.add_argument('--cameras', type=int, help='number of cameras; default: that of the real data set')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(128, 64), metavar=('H', 'W'), help='image size (default: 128 64)'
    )
    parser.add_argument('--seed', type=int, default=0, help='seed; another seed makes another world (default: 0)')
    parser.add_argument(
        '--domain', choices=sorted(DOMAINS), default='default', help='cameras and clothes (default: default)'
    )
    parser.add_argument('--workers', type=int, default=1, help='processes; the files do not depend on it (default: 1)')
    parser.add_argument('--force', action='store_true', help='replace an older procedural data set in OUT_DIR')
    parser.add_argument('--contact-sheet', type=Path, metavar='PATH', help='also save an image of some people')
    sizes = parser.add_argument_group('size', 'not every layout has all of them')
    for name, (kind, text) in SIZES.items():
        action = {'action': 'store_true'} if kind is bool else {'type': kind}
        sizes.add_argument(_flag(name), **action, default=argparse.SUPPRESS, help=f'{text} ({_defaults(name)})')
    knobs = parser.add_argument_group(
        'difficulty', 'see mmreid.datasets.synthetic.DomainSpec; default: what the domain has'
    )
    for knob in KNOBS:
        kind = int if knob == 'cluster_size' else float
        knobs.add_argument(_flag(knob), type=kind, default=argparse.SUPPRESS, help=' ')
    return parser.parse_args(argv)


def make_plan(args: argparse.Namespace) -> LayoutPlan:
    """Makes the plan of the layout; raises a ValueError if the layout lacks an option or a size is out of range."""
    kind = LAYOUTS[args.layout]
    given = {name: value for name, value in vars(args).items() if name in SIZES}
    for name in given:
        if name not in kind.options():
            raise ValueError(
                f'The layout {args.layout!r} has no {_flag(name)}; it has {", ".join(map(_flag, kind.options()))}.'
            )
    return kind(**given)


def write_with_progress(out_dir: Path, world: World, plan: LayoutPlan, workers: int, force: bool) -> dict:
    """Writes the data set with a progress bar, and returns its manifest."""
    with Progress(auto_refresh=False) as bar:  # no refresh thread, as worker processes are forked
        task = bar.add_task('Drawing', total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if done % 50 == 0 or done == total:
                bar.refresh()

        return write_dataset(out_dir, world, plan, workers, force, progress)


def main(argv: list[str] | None = None) -> int:
    """Makes the data set; returns the exit status, 0 for success."""
    args = parse_args(argv)
    knobs = {name: value for name, value in vars(args).items() if name in KNOBS}
    if args.cameras is not None:
        knobs['cameras'] = args.cameras
    try:
        plan = make_plan(args)
        world = plan.make_world(seed=args.seed, domain=args.domain, size=tuple(args.size), **knobs)
        if is_up_to_date(args.out_dir, world, plan):
            print(f'{args.out_dir} is done: it already holds this world.')
        else:
            counts = write_with_progress(args.out_dir, world, plan, args.workers, args.force)['counts']
            folders = [f'{count} in {name}' for name, count in counts.items() if (args.out_dir / name).is_dir()]
            print(f'{args.out_dir}: {", ".join(folders)}')
        if args.contact_sheet is not None:
            per_camera = 2 if len(world.cameras) <= 6 else 1
            save_sheet(contact_sheet(world, plan, per_camera=per_camera), args.contact_sheet)
            print(f'Contact sheet: {args.contact_sheet}')
    except (ValueError, OSError) as error:
        print(f'error: {sentence_of(error)}', file=sys.stderr)
        return 1
    return 0


def _flag(name: str) -> str:
    return f'--{name.replace("_", "-")}'


def _defaults(name: str) -> str:
    """Lists the layouts that have an option, with their defaults."""
    values: dict[object, list[str]] = {}
    for layout, plan in LAYOUTS.items():
        if name in plan.options():
            values.setdefault(plan().parameters()[name], []).append(layout)
    if len(values) == 1 and len(*values.values()) == len(LAYOUTS):
        return f'default: {next(iter(values))}'
    return '; '.join(f'{", ".join(layouts)}: {value}' for value, layouts in values.items())


if __name__ == '__main__':
    sys.exit(main())
