# Copyright (c) mmreid contributors. All rights reserved.
"""Writes a network as ONNX, OpenVINO or torch ExportedProgram, and runs what was written. All of it in memory."""

import io
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mmreid.utils.optional_package import require

#: Where the description of a file is: in ONNX's metadata, OpenVINO's runtime info, the extra files of a program.
META_NAME = 'mmreid'
PROGRAM_META = f'{META_NAME}.json'
EXTRA = 'export'
Run = Callable[..., np.ndarray]


def to_onnx(
    graph: nn.Module,
    examples: Sequence[torch.Tensor],
    inputs: Sequence[str],
    output: str,
    axes: Sequence[str],
    description: dict,
) -> bytes:
    """Writes ONNX; the first axis of each input is dynamic and has the name in ``axes``."""
    for module in ('onnx', 'onnxscript'):
        require(module, 'an export to ONNX', EXTRA)
    with torch.no_grad():
        # Not the module itself: where its batch size cannot vary, torch.onnx would silently write one batch size.
        program = torch.onnx.export(
            _exported(graph, examples, axes),
            tuple(examples),
            dynamo=True,
            dynamic_shapes=_dynamic(axes),
            input_names=list(inputs),
            output_names=[output],
            verbose=False,
        )
    proto = program.model_proto
    found = [entry.type.tensor_type.shape.dim[0].dim_param for entry in proto.graph.input]
    if found != list(axes):
        raise ValueError(
            f'{type(graph).__name__} has the batch axes {found}, not {list(axes)}: it works for one batch '
            'size only, so it is not written; report this model'
        )
    for entry in (*proto.graph.node, *proto.graph.value_info, *proto.graph.initializer):
        del entry.metadata_props[:]  # names of modules, larger than a small network
    proto.metadata_props.add(key=META_NAME, value=json.dumps(description))
    return proto.SerializeToString()


def to_openvino(onnx: bytes, fp16: bool, description: dict) -> tuple[bytes, bytes]:
    """Turns ONNX into OpenVINO's ``.xml`` and ``.bin``; ``fp16`` stores the weights in half precision."""
    openvino = require('openvino', 'an export to OpenVINO', EXTRA)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'model.xml')
        path.with_suffix('.onnx').write_bytes(onnx)
        model = openvino.Core().read_model(path.with_suffix('.onnx'))
        model.set_rt_info(json.dumps(description), [META_NAME])
        openvino.save_model(model, path, compress_to_fp16=fp16)
        return path.read_bytes(), path.with_suffix('.bin').read_bytes()


def to_program(graph: nn.Module, examples: Sequence[torch.Tensor], axes: Sequence[str], description: dict) -> bytes:
    """Writes what ``torch.export.load`` reads."""
    program = _exported(graph, examples, axes)
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={PROGRAM_META: json.dumps(description)})
    return file.getvalue()


@torch.no_grad()
def _exported(graph: nn.Module, examples: Sequence[torch.Tensor], axes: Sequence[str]) -> torch.export.ExportedProgram:
    try:
        program = torch.export.export(graph.eval(), tuple(examples), dynamic_shapes=_dynamic(axes), strict=False)
    except torch._dynamo.exc.UserError as error:
        raise ValueError(
            f'this network cannot be exported for batches of any size ({str(error).splitlines()[0]}); report its config'
        ) from error
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop('stack_trace', None)  # paths of this machine
    return program


def _dynamic(axes: Sequence[str]) -> tuple[dict, ...]:
    return tuple({0: torch.export.Dim(axis)} for axis in axes)


def run_onnx(onnx: bytes) -> Run:
    """Opens ONNX in onnxruntime on the CPU."""
    runtime = require('onnxruntime', 'a check of an ONNX file', EXTRA)
    session = runtime.InferenceSession(onnx, providers=['CPUExecutionProvider'])
    names = [entry.name for entry in session.get_inputs()]
    return lambda *arrays: session.run(None, dict(zip(names, arrays, strict=True)))[0]


def run_openvino(xml: bytes, weights: bytes) -> Run:
    """Opens OpenVINO's files on the CPU, in float32 also where the CPU has a faster bfloat16."""
    core = require('openvino', 'a check of an OpenVINO file', EXTRA).Core()
    compiled = core.compile_model(core.read_model(xml, weights), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    return lambda *arrays: compiled(list(arrays))[0]


def run_program(program: bytes) -> Run:
    """Opens a program that this process has written."""
    module = torch.export.load(io.BytesIO(program)).module()

    def run(*arrays: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(*(torch.from_numpy(array) for array in arrays)).numpy()

    return run
