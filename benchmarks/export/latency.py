# Copyright (c) mmreid contributors. All rights reserved.
"""Latency of an exported model: torch, onnxruntime and OpenVINO on the same images, batch 1 and 32, on the CPU.

The three take turns in every round, so that a busy machine slows all of them; a ratio is the median over rounds of the
time of torch over that of the other, in the same round.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import torch

from mmreid.apis import init_model
from mmreid.apis.export.exported import export_in_memory
from mmreid.apis.export.graph import EmbeddingGraph
from mmreid.apis.export.targets import TARGETS
from mmreid.apis.model_building import contract_of_model
from mmreid.models import BaseReID
from mmreid.utils.setup_env import register_all_modules

BATCHES = (1, 32)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Time torch, onnxruntime and OpenVINO.')
    parser.add_argument('config', help='config, or a name of list_models()')
    parser.add_argument('checkpoint', nargs='?', help='weights; random ones by default, which take the same time')
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--threads', type=int, default=1)
    return parser.parse_args(argv)


def engines(model: BaseReID, threads: int) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Opens the model in each engine with the same number of threads."""
    contract, target = contract_of_model(model), TARGETS['onnxruntime']
    graph = EmbeddingGraph(model, contract, target).eval()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    onnx = export_in_memory(model, contract, Path('x.onnx'), target, False, None).files[Path('x.onnx')]
    session = onnxruntime.InferenceSession(onnx, options, providers=['CPUExecutionProvider'])
    files = export_in_memory(model, contract, Path('x.xml'), TARGETS['openvino'], False, None).files
    core = openvino.Core()
    network = core.read_model(files[Path('x.xml')], files[Path('x.bin')])
    settings = dict(INFERENCE_PRECISION_HINT='f32', INFERENCE_NUM_THREADS=threads)
    compiled = core.compile_model(network, 'CPU', settings)
    torch.set_num_threads(threads)
    return dict(
        torch=lambda images: graph(torch.from_numpy(images)).numpy(),
        onnxruntime=lambda images: session.run(None, dict(images=images))[0],
        openvino=lambda images: compiled([images])[0],
    )


@torch.inference_mode()
def main(argv: Sequence[str] | None = None) -> None:
    """Prints a row for each engine and batch."""
    args = parse_args(argv)
    register_all_modules()
    model = init_model(args.config, args.checkpoint)
    size = contract_of_model(model).preprocessing.size
    with torch.inference_mode(False):
        runs = engines(model, args.threads)
    print(f'{Path(args.config).stem}, {size[0]} x {size[1]}, {args.threads} thread(s), {args.rounds} rounds')
    print('| batch | engine | median ms | ratio to torch, median (range) |')
    print('| --- | --- | --- | --- |')
    for batch in BATCHES:
        images = np.random.default_rng(0).integers(0, 256, (batch, 3, *size)).astype(np.float32)
        wanted = runs['torch'](images)
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for name, run in runs.items():  # the first call prepares
            np.testing.assert_allclose(run(images), wanted, atol=1e-3, err_msg=name)
        for _ in range(args.rounds):
            for name, run in runs.items():
                start = time.perf_counter()
                run(images)
                seconds[name].append(time.perf_counter() - start)
        for name, values in seconds.items():
            ratios = [ours / theirs for ours, theirs in zip(seconds['torch'], values, strict=True)]
            text = f'{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})'
            print(f'| {batch} | {name} | {statistics.median(values) * 1000:.1f} | {text} |')


if __name__ == '__main__':
    main()
