# Copyright (c) mmreid contributors. All rights reserved.
"""Keeps a gallery in a file, or on a server, and searches it: ``gallery.py create|add|search|... GALLERY``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mmreid.apis import Gallery, GalleryAnswer, GalleryFilter, ReIDInferencer
from mmreid.apis.gallery import GalleryDamagedError
from mmreid.apis.gallery.approximate_index import KINDS
from mmreid.apis.gallery.copying import copy_gallery
from mmreid.apis.gallery.image_labels import labels_of_paths, labels_of_table, seconds_of_text
from mmreid.apis.gallery.milvus_address import is_address
from mmreid.apis.inputs import named_images
from mmreid.apis.search_report import write_search
from mmreid.apis.serving.app import LOOPBACK, Limits, create_app
from mmreid.apis.serving.server import run_server
from mmreid.apis.threshold import Threshold
from mmreid.utils.atomic_folder import atomic_folder, check_free, write_marker
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.setup_env import register_all_modules

MARKER = 'search.json'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Keep a gallery in a file, and search it')
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    gallery = argparse.ArgumentParser(add_help=False)
    gallery.add_argument('gallery', metavar='GALLERY', help='a file, or milvus://HOST:PORT/NAME')
    gallery.add_argument('--wait', type=float, default=10.0, help='seconds to wait for another writer; default 10')
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument('--model', required=True, help='a checkpoint, a published folder, a config, or a model name')
    model.add_argument('--weights', help="checkpoint for a config file or a name; 'none' for initial weights")
    model.add_argument('--device', help='cpu or cuda; by default the GPU if there is one')
    model.add_argument('--batch-size', type=int, default=32, help='32 by default')
    chosen = argparse.ArgumentParser(add_help=False)
    chosen.add_argument('--camera', nargs='+', help='only these cameras')
    chosen.add_argument('--since', type=_time, metavar='TIME', help='only this time or later, as 2026-01-31T12:00')
    chosen.add_argument('--until', type=_time, metavar='TIME', help='only before this time')

    commands.add_parser('create', parents=[gallery, model], help='make an empty gallery for a model')
    add = commands.add_parser('add', parents=[gallery, model], help='add images')
    add.add_argument('images', nargs='+', help='image files, folders or globs')
    facts = add.add_mutually_exclusive_group()
    facts.add_argument('--labels', metavar='CSV', help='table: img_path,pid and camid,timestamp,modality')
    facts.add_argument('--pattern', help='regular expression in the paths, with groups id, camera, time')
    add.add_argument('--id', help='who all of them show')
    add.add_argument('--camera', help='the camera of all of them')
    add.add_argument('--time', type=_time, help='when all of them were taken, as 2026-01-31T12:00')
    add.add_argument('--modality', choices=['visible', 'infrared'], help='of all of them')
    add.add_argument(
        '--shard', type=_shard, default=(1, 1), metavar='N/M', help='only the N-th of M parts of the images'
    )
    add.add_argument('--skip-unreadable', action='store_true', help='leave out images that cannot be read')
    search = commands.add_parser('search', parents=[gallery, model, chosen], help='find people')
    search.add_argument('query', help='image, folder or glob')
    search.add_argument('--topk', type=int, default=10, help='answers to each query, 10 by default')
    search.add_argument('--query-camera', help='camera of the queries; its entries are not found')
    search.add_argument('--modality', help='of the queries, for models that tell them apart')
    search.add_argument('--per-id', choices=['best', 'mean'], help='answer by identities')
    search.add_argument('--threshold', metavar='FILE', help='what calibrate_threshold.py wrote: decide who is the same')
    search.add_argument('--out', type=Path, help='also write tables and ranked lists into this folder')
    search.add_argument('--force', action='store_true', help='replace a folder that this tool wrote')
    index = commands.add_parser('index', parents=[gallery, model], help='build an approximate index')
    index.add_argument('--kind', choices=['auto', 'exact', *KINDS], default='auto', help='auto by default')
    delete = commands.add_parser('delete', parents=[gallery, chosen], help='delete entries and their vectors')
    delete.add_argument('--id', nargs='+', help='entries of these identities')
    delete.add_argument('--key', nargs='+', type=int, help='these entries')
    delete.add_argument('--dry-run', action='store_true', help='only say how many')
    commands.add_parser('info', parents=[gallery], help='sum up the content')
    commands.add_parser('check', parents=[gallery], help='examine everything that is stored')
    copy = commands.add_parser('copy', parents=[gallery], help='add all entries to another gallery of the same model')
    copy.add_argument('to', help='a file, or milvus://HOST:PORT/NAME')
    web = commands.add_parser('serve', parents=[gallery, model], help='a web page that searches')
    web.add_argument('--threshold', metavar='FILE', help='what calibrate_threshold.py wrote: decide who is the same')
    web.add_argument('--host', default='127.0.0.1', help='address to listen on; only this machine by default')
    web.add_argument('--name', nargs='+', default=[], help='further names or addresses under which it may be asked')
    web.add_argument('--port', type=int, default=8000, help='8000 by default; 0 for a free one')
    web.add_argument('--queue', type=int, default=Limits.queue, help='searches that may run or wait, 16 by default')
    web.add_argument('--max-bytes', type=int, default=Limits.max_bytes, help='most bytes of an image, 20 million')
    web.add_argument('--max-pixels', type=int, default=Limits.max_pixels, help='most pixels of an image, 25 million')
    return parser.parse_args(argv)


def _time(text: str) -> float:
    try:
        return seconds_of_text(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _shard(text: str) -> tuple[int, int]:
    number, _, count = text.partition('/')
    if not number.isdecimal() or not count.isdecimal() or not 1 <= int(number) <= int(count):
        raise argparse.ArgumentTypeError(f'{text!r:.60} is not a part such as 1/4, the first of four')
    return int(number), int(count)


def require_there(place: str) -> None:
    """Says that the file of a gallery is missing, before a model is loaded; servers say it themselves."""
    if not is_address(place) and not Path(place).exists():
        raise FileNotFoundError(f'there is no gallery {place}; make it with `tools/gallery.py create`')


def require_absent(place: str) -> None:
    """Says that there is a gallery, or another file, before a model is loaded."""
    try:
        Gallery.open(place, create=False).close()
    except FileNotFoundError:  # or an empty file, as a process leaves that is killed while it makes one
        return
    except GalleryDamagedError:
        pass
    raise FileExistsError(f'{place} exists; give another name, or add to it')


def open_with_model(args: argparse.Namespace, create: bool = False) -> Gallery:
    """Opens the gallery with its model."""
    if not create:
        require_there(args.gallery)
    register_all_modules()
    inferencer = ReIDInferencer(args.model, args.weights, args.device, batch_size=args.batch_size)
    return Gallery.open(args.gallery, inferencer, create=create, wait=args.wait)


def create(args: argparse.Namespace) -> None:
    """Makes an empty gallery."""
    require_absent(args.gallery)
    with open_with_model(args, create=True) as gallery:
        print(f'{args.gallery}: for features of {gallery.model}')


def add(args: argparse.Namespace) -> None:
    """Adds images."""
    with open_with_model(args) as gallery:
        images = [image.name for image in named_images(args.images, None, None)][args.shard[0] - 1 :: args.shard[1]]
        facts = dict(ids=args.id, cameras=args.camera, times=args.time, modality=args.modality)
        if args.labels or args.pattern:
            found = labels_of_table(args.labels, images) if args.labels else labels_of_paths(args.pattern, images)
            facts |= {name: value for name, value in found.items() if facts[name] is None}
        before = len(gallery)
        keys = gallery.add(images, on_error='skip' if args.skip_unreadable else 'raise', **facts)
        new = len(gallery) - before
        print(
            f'{args.gallery}: {new} images added, {len(set(keys) - {None}) - new} were there, {keys.count(None)} '
            f'cannot be read; {len(gallery)} in all'
        )


def search(args: argparse.Namespace) -> None:
    """Finds people; prints what was found, and writes it."""
    if args.out:
        check_free(args.out, MARKER, args.force)
    with open_with_model(args) as gallery:
        threshold = gallery.inferencer.load_threshold(args.threshold) if args.threshold else None
        names = [image.name for image in named_images(args.query, None, None)]
        rows = gallery.search(
            names,
            args.topk,
            GalleryFilter(cameras=args.camera, since=args.since, until=args.until),
            query_cameras=args.query_camera,
            per_id=args.per_id,
            modality=args.modality,
        )
    listed = [
        dict(query=name, found=[_plain(answer, threshold) for answer in row])
        for name, row in zip(names, rows, strict=True)
    ]
    for entry in listed:
        print(entry['query'])
        for found in entry['found']:
            print('  ' + '  '.join(f'{value:.3f}' if name == 'score' else str(value) for name, value in found.items()))
    if args.out:
        facts = dict(model=args.model, gallery=args.gallery)
        with atomic_folder(args.out, lambda: check_free(args.out, MARKER, args.force)) as folder:
            write_search(folder, listed, facts, 50, None)
            write_marker(folder, MARKER, facts)


def _plain(answer: GalleryAnswer, threshold: Threshold | None) -> dict:
    entry = answer.entry
    found = dict(
        file=entry.image or f'entry {entry.key}',
        score=answer.score,
        key=entry.key,
        id=entry.id,
        camera=entry.camera,
        time=entry.time,
    )
    return found if threshold is None else dict(found, same=threshold.decide(answer.score).same)


def index(args: argparse.Namespace) -> None:
    """Builds an index."""
    with open_with_model(args) as gallery:
        facts = gallery.build_index(None if args.kind == 'exact' else args.kind)
    if facts is None:
        print(f'{args.gallery}: searched exactly')
    else:
        print(
            f'{args.gallery}: {facts.kind} of {facts.count} entries in {facts.seconds:.0f} s; recall@1 '
            f'{facts.recall_at_1:.3f}, recall@10 {facts.recall_at_10:.3f} of {facts.queries} queries'
        )


def delete(args: argparse.Namespace) -> None:
    """Deletes entries."""
    chosen = GalleryFilter(keys=args.key, ids=args.id, cameras=args.camera, since=args.since, until=args.until)
    if chosen.is_empty:
        raise ValueError('say what to delete by --id, --key, --camera, --since or --until')
    with Gallery.open(args.gallery, create=False, wait=args.wait) as gallery:
        if args.dry_run:
            print(f'{args.gallery}: {sum(1 for _ in gallery.entries(chosen))} entries would be deleted')
        else:
            print(f'{args.gallery}: {gallery.delete(filter=chosen)} entries deleted, {len(gallery)} left')


def info(args: argparse.Namespace) -> None:
    """Prints what is in a gallery, as JSON."""
    with Gallery.open(args.gallery, create=False, wait=args.wait) as gallery:
        print(json.dumps(gallery.info(), indent=1))


def check(args: argparse.Namespace) -> None:
    """Examines a gallery; ends with status 1 if something is wrong."""
    with Gallery.open(args.gallery, create=False, wait=args.wait) as gallery:
        faults = gallery.check()
        print('\n'.join([*faults, f'{args.gallery}: {len(gallery)} entries, {len(faults) or "no"} faults']))
    if faults:
        sys.exit(1)


def copy(args: argparse.Namespace) -> None:
    """Copies a gallery."""
    with Gallery.open(args.gallery, create=False, wait=args.wait) as gallery:
        print(f'{args.to}: {copy_gallery(gallery, args.to)} of {len(gallery)} entries copied')


def serve(args: argparse.Namespace) -> None:
    """Serves the page until it is stopped."""
    limits = Limits(args.queue, args.max_bytes, args.max_pixels)
    with open_with_model(args) as gallery:
        threshold = gallery.inferencer.load_threshold(args.threshold) if args.threshold else None
        hosts = [f'[{name}]' if ':' in name and name[0] != '[' else name for name in (args.host, *args.name)]
        app = create_app(gallery, threshold, limits, dict.fromkeys([*LOOPBACK, *hosts]))
        run_server(app, args.host, args.port, limits)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command."""
    args = parse_args(argv)
    commands = (create, add, search, index, delete, info, check, copy, serve)
    {command.__name__: command for command in commands}[args.command](args)


if __name__ == '__main__':
    with one_line_errors():
        main()
