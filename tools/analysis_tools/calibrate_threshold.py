# Copyright (c) mmreid contributors. All rights reserved.
"""Finds the score from which two images show the same person: ``calibrate_threshold.py FEATURES --out threshold.json``.

``tools/test.py CONFIG CHECKPOINT --save-features FEATURES`` saves the features. ``tools/search.py --threshold`` and
``ReIDInferencer.compare(..., threshold=)`` read the result.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmreid.apis.calibration import calibrate, choose_point, describe_curve, explain_few, points_of
from mmreid.apis.threshold import FORMAT
from mmreid.engine.features.saved_features import read_features
from mmreid.utils.atomic_io import atomic_write, ensure_new
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.setup_env import register_all_modules
from mmreid.visualization.verification_plot import draw_verification


def rate(text: str) -> float:
    """Reads a false positive rate."""
    value = float(text)
    if not 0 < value < 1:
        raise ValueError
    return value


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Find the score from which two images show the same person')
    parser.add_argument('features', help='what tools/test.py --save-features wrote')
    parser.add_argument('--out', type=Path, default=Path('threshold.json'), help='default threshold.json')
    parser.add_argument('--force', action='store_true', help='replace files that exist')
    parser.add_argument('--test-set', metavar='NAME', help='which one of the file, if it has several')
    parser.add_argument(
        '--fpr', type=rate, nargs='+', default=[1e-2, 1e-3, 1e-4], help='rates to report; default 0.01 0.001 0.0001'
    )
    parser.add_argument(
        '--at',
        type=lambda text: text if text == 'eer' else rate(text),
        default='eer',
        help="which threshold to choose: 'eer' (default), or a false positive rate such as 0.001",
    )
    parser.add_argument('--per-camera-pair', action='store_true', help='also report each two cameras')
    parser.add_argument(
        '--own-camera', action='store_true', help='also count pairs of one person in one camera, which are easier'
    )
    args = parser.parse_args(argv)
    if args.out.suffix != '.json':
        parser.error(f'--out {args.out} must end with .json; the image beside it ends with .png')
    return args


def choose_test_set(test_sets: Sequence[dict[str, Any]], name: str | None, path: str) -> dict[str, Any]:
    """Returns the test set of this name, or the only one."""
    names = [test_set['meta'].get('dataset_name', 'reid') for test_set in test_sets]
    if name is None and len(names) == 1:
        return test_sets[0]
    if name not in names:
        raise ValueError(f'--test-set {name}: {path} has the test sets {", ".join(names)}; choose one')
    return test_sets[names.index(name)]


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the threshold as JSON, and an image of the scores beside it."""
    args = parse_args(argv)
    image = args.out.with_suffix('.png')
    ensure_new([args.out, image], args.force)
    register_all_modules()
    saved = read_features(args.features)
    if saved.model is None:
        raise ValueError(f'{args.features} does not say which model made it; save the features again')
    test_set = choose_test_set(saved.test_sets, args.test_set, args.features)
    found = calibrate(
        test_set['query'],
        test_set['gallery'],
        saved.matcher,
        own_camera=args.own_camera,
        per_camera_pair=args.per_camera_pair,
    )
    point = choose_point(found.curve, args.at)
    report = describe_curve(found.curve, args.fpr)
    content = dict(
        format=FORMAT,
        threshold=point.threshold,
        model=saved.model,
        matcher=type(saved.matcher).__name__,
        test_set=test_set['meta'].get('dataset_name', 'reid'),
        chosen=dict(at=args.at, **asdict(point)),
        **report,
        roc=points_of(found.curve),
        camera_pairs={name: describe_curve(curve, args.fpr) for name, curve in found.of_cameras.items()},
    )
    draw_verification(
        image,
        found.edges,
        found.histograms,
        tuple(values.numpy() for values in found.curve.corners()),
        point.threshold,
        f'{content["test_set"]}, {saved.model["name"]}: EER {100 * report["eer"]:.2f} %',
    )
    atomic_write(args.out, json.dumps(content, indent=1, allow_nan=False) + '\n')
    for sentence in explain_few(found.curve, [*args.fpr, *([] if args.at == 'eer' else [args.at])]):
        print(f'warning: {sentence}')
    print(table(content))
    print(f'{args.out}: threshold {point.threshold:.6g}, chosen at {args.at}; {image} shows the scores')


def table(content: dict[str, Any]) -> str:
    """Lays out the rates of all pairs and of each two cameras as text, in percent."""
    rows = {'all': content, **content['camera_pairs']}
    width = max(8, *map(len, rows))
    lines = [f'{"cameras":{width}} {"same":>9} {"different":>11} {"EER":>7}']
    lines[0] += ''.join(f' {"TPR@" + format(entry["asked_fpr"], "g"):>11}' for entry in content['at_fpr'])
    for name, row in rows.items():
        line = f'{name:{width}} {row["num_same"]:>9,} {row["num_different"]:>11,} {100 * row["eer"]:>7.2f}'
        marks = ['?' if entry['few_pairs'] else ' ' for entry in row['at_fpr']]
        entries = zip(row['at_fpr'], marks, strict=True)
        lines.append(line + ''.join(f' {100 * entry["tpr"]:>10.2f}{mark}' for entry, mark in entries))
    return '\n'.join(line.rstrip() for line in lines) + '\n(?: rests on fewer than ten wrong pairs)'


if __name__ == '__main__':
    with one_line_errors():
        main()
