# Copyright (c) mmreid contributors. All rights reserved.
"""What a report is made of: test sets with features, read one file at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner

from mmreid.engine.features.saved_features import as_kept, load_features, read_features
from mmreid.evaluation.metrics import FeatureMetric
from mmreid.evaluation.postprocessing import as_steps
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.registry import TASK_UTILS
from mmreid.utils.npz_file import read_npz

#: What evaluates a test set of this name if no config says it; others are evaluated by ``ReIDMetric``.
METRICS_OF = {'sysu_mm01': 'SYSUMetric', 'regdb': 'RegDBMetric', 'llcm': 'LLCMMetric'}


@dataclass
class LabeledTest:
    """A test set of one model.

    Attributes:
        metric (FeatureMetric): Its rules, with the matcher.
        query (RetrievalSet): The queries, with features.
        gallery (RetrievalSet): The gallery, likewise.
        values (dict[str, float] | None): What the metric reports, if it has been evaluated.
    """

    metric: FeatureMetric
    query: RetrievalSet
    gallery: RetrievalSet
    values: dict[str, float] | None = None


@dataclass
class Unlabeled:
    """Features of images without identities.

    Attributes:
        names (list[str]): The image files, N.
        feature (torch.Tensor): Shape (N, D), float32.
    """

    names: list[str]
    feature: torch.Tensor


@dataclass
class Source:
    """One file of features, or one test: a model with one seed.

    Attributes:
        model (str): Name of the model in the report; sources of the same name are seeds of one model.
        origin (str): Where it comes from, such as the file.
        read (Callable[[], list[LabeledTest | Unlabeled]]): Reads its test sets.
    """

    model: str
    origin: str
    read: Callable[[], list[LabeledTest | Unlabeled]]


def read_sources(files: Sequence[str], evaluators: Any = None, steps: Sequence[dict] = ()) -> list[Source]:
    """Makes a source of each file; nothing is read yet.

    Args:
        files (Sequence[str]): Files of ``tools/test.py --save-features`` (.pth) or ``tools/extract.py`` (.npz), or
            ``NAME=FILE``. Without a name, the file's own is taken.
        evaluators (Any, optional): ``test_evaluator`` of a config. Defaults to None: the metric that belongs to the
            name of a test set, else ``ReIDMetric``.
        steps (Sequence[dict]): Configs of steps between features and ranking, in addition. Defaults to ().

    Returns:
        list[Source]: The sources, in order.
    """
    sources = []
    for entry in files:
        name, separator, path = entry.partition('=')
        if not separator or Path(entry).exists():
            name, path = Path(entry).stem, entry
        sources.append(Source(name, path, lambda path=path: list(_read(path, evaluators, steps))))
    return sources


def source_of_test(runner: Runner, values: Mapping[str, float]) -> Source:
    """Makes a source of a test that has just run; its features are not ranked again.

    Args:
        runner (Runner): The runner after :meth:`Runner.test`.
        values (Mapping[str, float]): What that returned.

    Returns:
        Source: The source, named after the checkpoint.
    """
    name = Path(runner.cfg.get('load_from') or 'initial weights').name

    def read() -> list[LabeledTest | Unlabeled]:
        metrics = [metric for _, evaluator in runner.test_loop.pairs for metric in evaluator.metrics]
        tests = [metric for metric in metrics if isinstance(metric, FeatureMetric)]
        if not tests:
            raise ValueError('no test set has a re-ID metric, which keeps its features; give it a ReIDMetric')
        return [
            LabeledTest(metric, *metric.test_set, {key: values[key] for key in metric.keys if key in values})
            for metric in tests
        ]

    return Source(name, f'test of {name}', read)


def _read(path: str, evaluators: Any, steps: Sequence[dict]) -> Iterator[LabeledTest | Unlabeled]:
    if Path(path).suffix == '.npz':
        yield _read_unlabeled(path)
        return
    for metrics, query, gallery in load_features(path, evaluators or _default_evaluators(path)):
        metric = metrics[0]
        metric.post = as_steps([*metric.post, *map(TASK_UTILS.build, map(dict, steps))])
        yield LabeledTest(metric, as_kept(query, metric), as_kept(gallery, metric))


def _default_evaluators(path: str) -> list[dict]:
    names = [test_set['meta'].get('dataset_name', 'reid') for test_set in read_features(path).test_sets]
    evaluators = [dict(type=METRICS_OF.get(name, 'ReIDMetric')) for name in names]
    return evaluators if len(evaluators) > 1 else evaluators[0]


def _read_unlabeled(path: str) -> Unlabeled:
    content = read_npz(path)
    if not {'names', 'features'} <= set(content):
        raise ValueError(f'{path} has {", ".join(content)}, not names and features; make it with mmreid extract')
    names, feature = content['names'], content['features']
    if feature.ndim != 2 or feature.dtype.kind != 'f' or names.shape != feature.shape[:1] or names.dtype.kind != 'U':
        raise ValueError(
            f'{path}: names have shape {names.shape} of {names.dtype} and features {feature.shape} of {feature.dtype}; '
            'a report of images without labels needs one name and one vector an image'
        )
    if not np.isfinite(feature).all() or not len(feature):
        raise ValueError(f'{path}: {len(feature)} features, some NaN or infinite; make the file again')
    return Unlabeled(names.tolist(), torch.from_numpy(feature.astype(np.float32)))
