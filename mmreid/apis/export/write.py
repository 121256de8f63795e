# Copyright (c) mmreid contributors. All rights reserved.
"""Exports a model to files that are complete or absent."""

import logging
import os
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmreid.apis.inputs import named_images
from mmreid.apis.model_building import contract_of_model
from mmreid.datasets.transforms.loading import MAX_PIXELS
from mmreid.models import BaseReID
from mmreid.utils.atomic_io import atomic_write, ensure_new

from .exported import export_in_memory, paths_of
from .targets import get_target
from .verify import Verification, verify


def export_model(
    model: BaseReID,
    out: str | os.PathLike,
    target: str,
    *,
    fp16: bool = False,
    modality: str | None = None,
    images: Any = None,
    force: bool = False,
) -> tuple[list[Path], Verification | None]:
    """Exports a model for one consumer; a file for one gives another wrong embeddings, silently.

    Args:
        model (BaseReID): A model of :func:`mmreid.apis.get_model`.
        out (str | PathLike): The file to write: ``*.onnx``, ``*.xml`` for OpenVINO, ``*.pt2`` for ``torch.export``.
        target (str): ``'onnxruntime'``, ``'openvino'``, ``'exportedprogram'``, ``'boxmot'`` or ``'ultralytics'``.
        fp16 (bool): Run the backbone in half precision (OpenVINO: store all weights so); input and output stay float32.
            Defaults to False.
        modality (str, optional): ``'visible'`` or ``'infrared'``, for a model of both. Defaults to None.
        images (Any, optional): Paths, folders or globs of image files to compare the export with the model on, with
            the consumer's arithmetic; nothing is written if they differ. Defaults to None.
        force (bool): Replace files that exist. Defaults to False.

    Returns:
        tuple[list[Path], Verification | None]: The files, the one to open last, and the comparison if there are images.

    Raises:
        FileExistsError: If a file exists.
        ImportError: If a package is missing.
        ValueError: If the target cannot use such a model, or the comparison fails.
    """
    consumer, out = get_target(target), Path(out)
    contract = contract_of_model(model)
    paths = paths_of(out, consumer, contract.embedding == 'map')
    ensure_new(paths, force)
    steps = contract.preprocessing
    if consumer.resize != 'model' and (steps.resize_backend, steps.interpolation) != ('cv2', 'bilinear'):
        print_log(
            f'{target} resizes images bilinearly, but this model was trained with {steps.resize_backend}, '
            f'{steps.interpolation}; embeddings of images of another size will differ',
            'current',
            logging.WARNING,
        )
    if images is not None:
        next(named_images(images, None, MAX_PIXELS)).read()  # before a minute of work, whether there are any
    exported = export_in_memory(model, contract, out, consumer, fp16, modality)
    checked = None if images is None else verify(exported, model, consumer, images, modality)
    if len(paths) > 1:
        out.unlink(missing_ok=True)  # an old network never stands beside new companions
    for path, content in exported.files.items():
        atomic_write(path, content)
    return paths, checked
