# Copyright (c) mmreid contributors. All rights reserved.
"""Who is who, without labels.

``search.py MODEL --query FOLDER --gallery FOLDER`` finds each query in the gallery.
``search.py MODEL --cluster FOLDER`` groups images into people. Both write a folder of tables, JSON and images.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mmreid.apis import ReIDInferencer
from mmreid.apis.cluster import cluster_features
from mmreid.apis.search_report import found_images, left_out, write_clusters, write_search
from mmreid.cli.inferencer_options import add_inferencer_options, build_inferencer
from mmreid.datasets.transforms.loading import check_max_pixels
from mmreid.evaluation.clustering.dbscan import ALONE, check_clustering
from mmreid.utils.atomic_folder import atomic_folder, check_free, write_marker
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.setup_env import register_all_modules

MARKER = 'search.json'
ONLY_SEARCH = ('gallery', 'threshold', 'rerank')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Find who is who without labels')
    add_inferencer_options(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--query', metavar='PATH', help='image, folder or glob: find each of these in --gallery')
    what.add_argument('--cluster', metavar='PATH', help='folder or glob: group these images into people')
    parser.add_argument('--gallery', metavar='PATH', help='image, folder or glob to search')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/search'), help='folder; default work_dirs/search')
    parser.add_argument('--force', action='store_true', help='replace a folder that this tool wrote')
    parser.add_argument('--skip-unreadable', action='store_true', help='report images that cannot be read, and go on')
    parser.add_argument('--modality', nargs='+', metavar='NAME', help='of all images, or of queries and gallery')
    parser.add_argument('--topk', type=int, default=10, help='images to find for each query, 10 by default')
    parser.add_argument('--rerank', action='store_true', help='order by k-reciprocal re-ranking')
    parser.add_argument('--threshold', metavar='FILE', help='what calibrate_threshold.py wrote: decide who is the same')
    parser.add_argument('--draw', type=int, default=50, help='queries to draw, 50 by default; 0 for none')
    parser.add_argument('--eps', type=float, default=0.5, help='largest distance in a cluster, 0 to 1; default 0.5')
    parser.add_argument('--min-samples', type=int, default=2, help='least images of a cluster, 2 by default')
    parser.add_argument('--k1', type=int, default=10, help='neighbors of an image for --cluster, 10 by default')
    parser.add_argument('--k2', type=int, default=3, help='neighbors that are averaged for --cluster, 3 by default')
    args = parser.parse_args(argv)
    if args.query and not args.gallery:
        parser.error('--query needs --gallery PATH, the images to search')
    useless = [name for name in ONLY_SEARCH if args.cluster and vars(args)[name]]
    if useless:
        parser.error(f'--{useless[0]} belongs to --query; --cluster groups one folder')
    if args.topk < 1 or args.draw < 0:
        parser.error(f'--topk {args.topk} must be at least 1, and --draw {args.draw} at least 0')
    if args.rerank and args.threshold:
        parser.error('--threshold decides by scores of the model, which --rerank replaces; give one of the two')
    if args.modality and len(args.modality) > (1 if args.cluster else 2):
        parser.error(f'--modality {" ".join(args.modality)}: give one, or with --query that of queries and of gallery')
    args.max_pixels = check_max_pixels(args.max_pixels or None)
    args.on_error = 'skip' if args.skip_unreadable else 'raise'
    args.clustering = dict(eps=args.eps, min_samples=args.min_samples, k1=args.k1, k2=args.k2)
    args.facts = dict(model=args.model, weights=args.weights)
    return args


def search(args: argparse.Namespace, inferencer: ReIDInferencer, folder: Path) -> str:
    """Searches a gallery, writes what was found into a folder, and returns a line about it."""
    threshold = inferencer.load_threshold(args.threshold) if args.threshold else None
    modality = tuple(args.modality) if args.modality and len(args.modality) == 2 else (args.modality or [None])[0]
    options = dict(modality=modality, on_error=args.on_error, rerank=args.rerank, skip_own_file=True)
    result = inferencer.search(args.query, args.gallery, args.topk, **options)
    sides = ((args.query, result.query_names), (args.gallery, result.gallery_names))
    facts: dict[str, Any] = dict(args.facts, fingerprint=inferencer.fingerprint, reranked=args.rerank)
    facts['left_out'] = [name for path, names in sides for name in left_out(path, names, args.max_pixels)]
    if threshold is not None:
        facts['threshold'] = threshold.value
    write_search(folder, found_images(result, threshold), facts, args.draw, args.max_pixels)
    return f'{len(result.query_names)} queries in {len(result.gallery_names)} images'


def cluster(args: argparse.Namespace, inferencer: ReIDInferencer, folder: Path) -> str:
    """Groups images, writes the clusters into a folder, and returns a line about them."""
    features, names = inferencer.extract(
        args.cluster,
        modality=(args.modality or [None])[0],
        normalize=False,
        on_error=args.on_error,
        return_names=True,
    )
    labels = cluster_features(
        torch.from_numpy(features), inferencer.model.matcher, device=inferencer.device, **args.clustering
    )
    facts = dict(args.facts, fingerprint=inferencer.fingerprint, **args.clustering)
    facts['left_out'] = left_out(args.cluster, names, args.max_pixels)
    write_clusters(folder, names, labels, facts, args.max_pixels)
    return f'{labels.max() + 1} clusters of {len(names)} images, {(labels == ALONE).sum()} images are like no others'


def main(argv: Sequence[str] | None = None) -> None:
    """Writes a folder that is complete or absent."""
    args = parse_args(argv)
    check_free(args.out, MARKER, args.force)
    if args.cluster:
        check_clustering(**args.clustering)
    register_all_modules()
    inferencer = build_inferencer(args)
    with atomic_folder(args.out, lambda: check_free(args.out, MARKER, args.force)) as folder:
        line = (cluster if args.cluster else search)(args, inferencer, folder)
        write_marker(folder, MARKER, args.facts)
    print(f'{args.out}: {line}')


if __name__ == '__main__':
    with one_line_errors():
        main()
