# Copyright (c) mmreid contributors. All rights reserved.
"""Options of a step, matching, evaluation, re-ranking and the graph of classes on a GPU."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from mmreid.engine.features.class_graph import nearest_classes
from mmreid.evaluation import RetrievalSet
from mmreid.evaluation.functional import FeatureScores, rank
from mmreid.evaluation.postprocessing import KReciprocalRerank
from mmreid.models import CosineMatcher, QAConvMatcher
from mmreid.models.matchers import location_maxima as maxima
from mmreid.models.matchers.location_maxima import location_maxima

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / 'benchmarks' / name) for name in ('evaluation', 'matching', 'options')]
import matching_speed  # noqa: E402
import step_options  # noqa: E402
from ranking_speed import make  # noqa: E402

SMALL = (4, 8, 48, 32)  # queries, gallery images, locations, channels of the rehearsal


def options(rehearse: bool) -> dict[str, Any]:
    """Times steps of the baseline with each option; compilation is left to the script itself."""
    device, *sizes = ('cpu', 4, 1, 4) if rehearse else ('cuda', 64, 10, 1)  # bfloat16 is slow on many a CPU
    chosen = [name for name in step_options.OPTIONS if name != 'compiled']
    found = step_options.measure('ResNet-50', chosen, device, *sizes)
    return {f'{name}, ms': round(fastest, 1) for name, (fastest, *_) in found.items()}


def unit_tests(rehearse: bool) -> dict[str, Any]:
    """Runs the tests that need a GPU; in the rehearsal the kernels by Triton's interpreter."""
    folder = ROOT / 'tests'
    files = [folder / 'test_models/test_location_maxima_triton.py'] if rehearse else [folder]
    words = ['-q', '-p', 'no:cacheprovider', '--rootdir', ROOT, *([] if rehearse else ['-m', 'gpu']), *files]
    status = pytest.main([str(word) for word in words])
    if status:
        raise RuntimeError(f'pytest ended with {status!r}')
    return {}


def matching(rehearse: bool) -> dict[str, Any]:
    """Compares the matching of maps with einsum and max, and with the rate of a large bf16 product."""
    device, sizes = ('cpu', [SMALL]) if rehearse else ('cuda', matching_speed.GPU_SIZES)
    numbers = {}
    for size in sizes:
        rows = _Rows()
        matching_speed.measure(size, device, 3, torch.get_num_threads(), rows)
        ((maps, hw, dim, floor, ours, fraction, _, slower, training, training_slower, peak, _),) = rows
        numbers[f'{maps}, hw {hw}, d {dim}'] = (
            f'{ours} of {floor} {"GFLOP/s" if rehearse else "TFLOP/s"} ({fraction}), training {training}; einsum '
            f'{slower} times slower, in training {training_slower}; {peak} MB'
        )
    return numbers | _float32(device, sizes[0])


def _float32(device: str, size: tuple[int, int, int, int]) -> dict[str, Any]:
    """Compares the kernels for float32 with plain torch."""
    num_query, num_gallery, hw, dim = size
    query, gallery = (torch.randn(n, dim, hw, device=device) for n in (num_query, num_gallery))
    seconds = {}
    for name, has_triton in (('kernels', maxima._has_triton), ('plain torch', lambda: False)):
        with mock.patch.object(maxima, '_has_triton', has_triton):
            seconds[name] = min(_seconds(lambda: location_maxima(query, gallery), device) for _ in range(4))
    return {f'float32, {name}, ms': round(1000 * value, 1) for name, value in seconds.items()}


class _Rows(list):
    """Takes what ``measure`` puts into a queue."""

    put = list.append


def rank_and_rerank(size: str, rehearse: bool, dim: int = 2048) -> dict[str, Any]:
    """Ranks and re-ranks features of the size of a data set, on the device."""
    device = 'cpu' if rehearse else 'cuda'
    feats, labels = make(size, dim)
    query, gallery = (part.to(device) for part in feats)
    sets = [RetrievalSet(None, torch.zeros(len(part)), part) for part in (query, gallery)]
    results: dict[str, Any] = {}

    def ranked() -> None:
        results['mAP'] = rank(FeatureScores(query, gallery, CosineMatcher()), *labels).mean_ap

    def reranked() -> None:
        results['re-ranked mAP'] = rank(KReciprocalRerank()(*sets, CosineMatcher()), *labels).mean_ap

    numbers: dict[str, Any] = {}
    for name, job in (('ranking', ranked), ('re-ranking', reranked)):
        numbers |= {f'{name} first s': _seconds(job, device), f'{name} s': _seconds(job, device)}
        if not rehearse:
            numbers[f'{name} GiB'] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
            torch.cuda.reset_peak_memory_stats()
    return numbers | {name: round(float(value), 4) for name, value in results.items()}


def graph(classes: int, rehearse: bool) -> dict[str, Any]:
    """Builds the graph of many classes, from vectors and from maps."""
    device, size, channels = ('cpu', (4, 2), 32) if rehearse else ('cuda', (24, 8), 128)
    dtype = torch.float32 if rehearse else torch.bfloat16
    torch.manual_seed(0)
    maps = torch.nn.functional.normalize(torch.randn(classes, 1, channels, *size), dim=2)
    kinds = {
        'cosine': (CosineMatcher(), torch.randn(classes, 1, 2048).to(device)),
        'QAConv': (QAConvMatcher(size).eval().to(device), maps.to(device, dtype)),
    }
    numbers = {}
    for name, (matcher, feats) in kinds.items():
        seconds = _seconds(lambda m=matcher, f=feats: nearest_classes(f, m, 31), device)
        numbers |= {f'{name} s': seconds, f'{name} pairs/s': f'{classes**2 / seconds:.3g}'}
    return numbers


def _seconds(job: Callable[[], Any], device: str) -> float:
    start = time.perf_counter()
    job()
    if device == 'cuda':
        torch.cuda.synchronize()
    return round(time.perf_counter() - start, 5)
