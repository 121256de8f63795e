# Copyright (c) mmreid contributors. All rights reserved.
"""Saves the features of a test, and evaluates them again without a network or images."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import master_only
from mmengine.evaluator import Evaluator
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmreid.engine.test_sets import pair_evaluators
from mmreid.evaluation.metrics import FeatureMetric
from mmreid.evaluation.metrics.summary import join_metrics, metric_table
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.models import BaseReID
from mmreid.models.matchers.base import Matcher
from mmreid.models.reid.fingerprint import model_fingerprint
from mmreid.models.reid.inference_contract import contract_of
from mmreid.registry import METRICS
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.checkpoint import load_checkpoint_file
from mmreid.utils.unwrap_model import unwrap_model

from .features_content import known_matchers, read_matcher, read_model, read_test_sets

FORMAT = 'mmreid features 1'


@master_only
def save_features(path: str | os.PathLike, runner: Runner) -> None:
    """Writes features and labels of all test sets, and the matcher, after a test.

    The file has only tensors and plain values, so that ``torch.load(..., weights_only=True)`` reads it.

    Args:
        path (str | os.PathLike): The file.
        runner (Runner): The runner after :meth:`Runner.test`.

    Raises:
        ValueError: If a test set has no re-ID metric, which keeps its features.
    """
    test_sets = []
    for _, evaluator in runner.test_loop.pairs:
        metric = next((metric for metric in evaluator.metrics if isinstance(metric, FeatureMetric)), None)
        if metric is None:
            raise ValueError(
                'features are kept by re-ID metrics, but a test set has none; give it a ReIDMetric in test_evaluator'
            )
        meta = {
            key: value for key, value in (metric.dataset_meta or {}).items() if isinstance(value, (str, int, float))
        }
        query, gallery = metric.test_set
        test_sets.append(dict(meta=meta, query=query.known(), gallery=gallery.known()))
    model = unwrap_model(runner.model)
    config = dict(runner.cfg.model.get('matcher') or {}, type=type(model.matcher).__name__)
    config.pop('init_cfg', None)  # the weights are in the file
    if config['type'] not in known_matchers():
        print_log(
            f'{path} will not be read back: {config["type"]} is not registered in mmreid under a name that ends with '
            'Matcher',
            'current',
            logging.WARNING,
        )
    state = {key: value.cpu() for key, value in model.matcher.state_dict().items()}
    content = dict(format=FORMAT, matcher=dict(config=config, state=state), test_sets=test_sets)
    if isinstance(model, BaseReID):  # thresholds that are calibrated with these features belong to it
        name = Path(runner.cfg.get('load_from') or 'initial weights').name
        content['model'] = dict(name=name, hash=model_fingerprint(model), **_contract(runner, model))
    atomic_write(path, lambda file: torch.save(content, file))


def _contract(runner: Runner, model: BaseReID) -> dict[str, str]:
    """Tells how images become features, as far as the config can be described."""
    try:
        return dict(contract=contract_of(runner.cfg, model).digest)
    except ValueError:
        return {}


@dataclass(frozen=True)
class SavedFeatures:
    """The content of a features file, checked.

    Attributes:
        matcher (Matcher): What compares the features.
        test_sets (list[dict[str, Any]]): ``meta`` (dict), ``query`` and ``gallery`` (RetrievalSet) of each test set.
        model (dict[str, str] | None): ``name`` and ``hash`` of the model, and ``contract``, the digest of its
            :class:`InferenceContract`, if there is one; None for a model of another project.
    """

    matcher: Matcher
    test_sets: list[dict[str, Any]]
    model: dict[str, str] | None


def read_features(path: str | os.PathLike) -> SavedFeatures:
    """Reads what :func:`save_features` wrote; raises ValueError if it is another file, or has anything else in it."""
    if os.path.splitext(path)[1] == '.npz':
        raise ValueError(
            f'{path} has features without labels, as mmreid extract writes them; this needs those of tools/test.py '
            'CONFIG CHECKPOINT --save-features FILE'
        )
    content = load_checkpoint_file(path)
    if content.get('format') != FORMAT:
        raise ValueError(f'{path} holds no features; make it with tools/test.py CONFIG CHECKPOINT --save-features FILE')
    matcher = read_matcher(content.get('matcher'), str(path))
    return SavedFeatures(
        matcher, read_test_sets(content.get('test_sets'), str(path)), read_model(content.get('model'), str(path))
    )


def evaluate_features(path: str | os.PathLike, evaluators: Any) -> tuple[dict[str, float], dict[str, Any]]:
    """Evaluates the features of a file, and logs the table.

    Args:
        path (str | os.PathLike): What :func:`save_features` wrote.
        evaluators (dict | list): ``test_evaluator`` of a config: one for all test sets, or one for each.

    Returns:
        tuple[dict[str, float], dict[str, Any]]: Metrics of all test sets, and their details (see
        :class:`FeatureMetric`).

    Raises:
        ValueError: If it is another file, or a metric needs more than features.
    """
    parts, details = [], {}
    for metrics, query, gallery in load_features(path, evaluators):
        values: dict[str, float] = {}
        for metric in metrics:
            values.update(metric.compute_metrics((as_kept(query, metric), as_kept(gallery, metric))))
            details.update(metric.details)
        parts.append((metrics[0].name, values))
    results = join_metrics(parts)
    print_log('\n' + metric_table(results), 'current')
    return results, details


def load_features(
    path: str | os.PathLike, evaluators: Any
) -> Iterator[tuple[list[FeatureMetric], RetrievalSet, RetrievalSet]]:
    """Reads the test sets of a file, each with its metrics, which get the matcher and check the labels.

    Args:
        path (str | os.PathLike): What :func:`save_features` wrote.
        evaluators (dict | list): ``test_evaluator`` of a config: one for all test sets, or one for each.

    Yields:
        tuple[list[FeatureMetric], RetrievalSet, RetrievalSet]: Metrics, queries and gallery.

    Raises:
        ValueError: If it is another file, has anything but what :func:`save_features` writes, or a metric needs more
            than features.
    """
    saved = read_features(path)
    for test_set, configs in pair_evaluators(saved.test_sets, evaluators):
        query, gallery = test_set['query'], test_set['gallery']
        paths = dict(zip(query.sample_idx + gallery.sample_idx, query.img_path + gallery.img_path, strict=True))
        metrics = [METRICS.build(config) for config in (configs if isinstance(configs, (list, tuple)) else [configs])]
        Evaluator(metrics).dataset_meta = test_set['meta']
        for metric in metrics:
            if not isinstance(metric, FeatureMetric):
                raise ValueError(f'{type(metric).__name__} cannot be computed from saved features; leave it out')
            metric.matcher = saved.matcher
            metric.check(query, gallery, paths.__getitem__)
        yield metrics, query, gallery


def as_kept(images: RetrievalSet, metric: FeatureMetric) -> RetrievalSet:
    """Converts features to half precision if the metric would have kept them so."""
    return replace(images, feature=images.feature.half()) if metric.feature_dtype == torch.float16 else images
