# Copyright (c) mmreid contributors. All rights reserved.
"""A model in the form that a consumer reads, in memory: its files, and how to run them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from mmreid.models import BaseReID
from mmreid.structures import InferenceContract
from mmreid.version import __version__

from .formats import Run, run_onnx, run_openvino, run_program, to_onnx, to_openvino, to_program
from .graph import EmbeddingGraph, ScorerGraph
from .targets import Target

INPUT, QUERY, GALLERY = 'images', 'query', 'gallery'
FORMAT = 1
#: Not the name of a network that boxmot builds itself: it runs the graph.
MODEL_NAME = 'mmreid'


@dataclass(frozen=True)
class Exported:
    """A model in the form that a consumer reads.

    Attributes:
        files (dict[Path, bytes]): What to write, the file that the consumer opens last.
        open_network (Callable): Gives what takes images as the consumer prepares them, (N, 3, H, W) float32, and
            returns embeddings or maps.
        open_scorer (Callable | None): Gives what takes maps of queries and of a gallery and returns scores (Q, G);
            None for vectors.
        description (dict): What the file says about itself.
    """

    files: dict[Path, bytes]
    open_network: Callable[[], Run]
    open_scorer: Callable[[], Run] | None
    description: dict


def paths_of(out: Path, target: Target, is_map: bool) -> list[Path]:
    """Lists the files of an export, in the order of :attr:`Exported.files`.

    Raises:
        ValueError: If ``out`` does not end as the target needs it.
    """
    if out.suffix != target.suffix:
        raise ValueError(f'{out} does not end with {target.suffix}, as --target {target.name} needs it; rename it')
    mains = [out.with_suffix(f'.scorer{target.suffix}'), out] if is_map else [out]
    if target.name == 'boxmot':
        return [Path(f'{out}.metadata.json'), out]
    if target.name == 'openvino':
        return [path for main in mains for path in (main.with_suffix('.bin'), main)]
    return mains


def export_in_memory(
    model: BaseReID, contract: InferenceContract, out: Path, target: Target, fp16: bool, modality: str | None
) -> Exported:
    """Exports a model; writes nothing."""
    # OpenVINO stores the weights of an ordinary network in half precision and chooses the arithmetic itself.
    graph = EmbeddingGraph(model, contract, target, modality, fp16 and target.name != 'openvino')
    paths = paths_of(out, target, graph.is_map)
    size = contract.preprocessing.size
    # Two images: an axis of one would be taken for constant.
    images = torch.zeros(2, 3, *size)
    description = _describe(graph, contract, target, fp16, modality)
    output = description['output']['name']
    contents, opened = _written(target, graph, [images], [INPUT], output, ['batch'], fp16, description)
    scorer = None
    if graph.is_map:
        with torch.no_grad():
            maps = graph(images)
        about = _describe_scorer(contract, target)
        names = [QUERY, GALLERY]
        # Different sizes, so that the axes stay two.
        more, scorer = _written(
            target, ScorerGraph(model.matcher), [maps, maps[[0, 1, 0]]], names, 'scores', names, False, about
        )
        contents = [*more, *contents]
    if target.name == 'boxmot':
        contents = [_sidecar(size, description), *contents]
    return Exported(dict(zip(paths, contents, strict=True)), opened, scorer, description)


def _written(
    target: Target,
    graph: nn.Module,
    examples: Sequence[torch.Tensor],
    inputs: Sequence[str],
    output: str,
    axes: Sequence[str],
    fp16: bool,
    description: dict,
) -> tuple[list[bytes], Callable[[], Run]]:
    if target.name == 'exportedprogram':
        program = to_program(graph, examples, axes, description)
        return [program], partial(run_program, program)
    onnx = to_onnx(graph, examples, inputs, output, axes, description)
    if target.name != 'openvino':
        return [onnx], partial(run_onnx, onnx)
    xml, weights = to_openvino(onnx, fp16, description)
    return [weights, xml], partial(run_openvino, xml, weights)


def _describe(
    graph: EmbeddingGraph, contract: InferenceContract, target: Target, fp16: bool, modality: str | None
) -> dict:
    steps = contract.preprocessing
    return dict(
        format=FORMAT,
        mmreid=__version__,
        target=target.name,
        input=dict(
            name=INPUT,
            shape=['batch', 3, *steps.size],
            dtype='float32',
            channel_order='rgb',
            formula='(pixel / scale - mean) / std, pixels from 0 to 255',
            scale=target.scale,
            mean=list(target.mean),
            std=list(target.std),
        ),
        resize=_resize_of(contract, target),
        output=dict(
            name='maps' if graph.is_map else 'embeddings', kind=contract.embedding, normalized=graph.normalized
        ),
        precision='fp16' if fp16 else 'fp32',
        modality=modality,
        matcher=contract.matcher,
    )


def _resize_of(contract: InferenceContract, target: Target) -> dict:
    steps = contract.preprocessing
    if target.resize == 'model':
        return dict(size=list(steps.size), interpolation=steps.interpolation, backend=steps.resize_backend)
    return dict(size=list(steps.size), interpolation='bilinear', backend=target.resize)


def _describe_scorer(contract: InferenceContract, target: Target) -> dict:
    inputs = 'maps (query, C, h, w) and (gallery, C, h, w) of the network beside this file'
    scores = dict(name='scores', shape=[QUERY, GALLERY], kind='logit', higher_is_more_similar=True)
    return dict(
        format=FORMAT, mmreid=__version__, target=target.name, input=inputs, output=scores, matcher=contract.matcher
    )


def _sidecar(size: tuple[int, int], description: dict) -> bytes:
    """Writes what boxmot reads beside an ONNX file."""
    content = dict(
        schema_version=1,
        model_name=MODEL_NAME,
        preprocess='resize',
        model_kwargs=dict(img_size=list(size)),
        mmreid=description,
    )
    return (json.dumps(content, indent=2) + '\n').encode()
