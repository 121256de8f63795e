# Copyright (c) mmreid contributors. All rights reserved.
"""What each consumer of an exported model does to an image before the network sees it: one table."""

from dataclasses import dataclass

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Target:
    """A consumer. Its input to the graph is RGB, ``(pixel / scale - mean) / std``, pixels from 0 to 255.

    Attributes:
        name (str): What ``--target`` calls it.
        suffix (str): Of the file that it reads.
        scale (float): What it divides pixels by.
        mean (tuple[float, float, float]): What it subtracts from R, G and B after that.
        std (tuple[float, float, float]): What it divides them by at the end.
        resize (str): How it resizes: ``'model'`` as the file describes it; ``'cv2'`` by OpenCV, bilinear, on uint8;
            ``'torch'`` by ``torch.nn.functional.interpolate``, bilinear without antialiasing, on float32.
        takes_maps (bool): Whether it can be given maps with a scorer; otherwise it takes vectors only.
        min_cosine (float): What its embedding and that of mmreid must reach, in float32.
    """

    name: str
    suffix: str
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    resize: str = 'model'
    takes_maps: bool = True
    min_cosine: float = 0.9999


#: Where the code around the graph is the user's own, it has the least to do: pixels go in as they are.
TARGETS = {
    target.name: target
    for target in (
        Target('onnxruntime', '.onnx'),
        Target('openvino', '.xml'),
        Target('exportedprogram', '.pt2'),
        Target('boxmot', '.onnx', 255.0, IMAGENET_MEAN, IMAGENET_STD, resize='cv2', takes_maps=False),
        # Another way to resize than ours, so an ordinary image does not reach the cosine of the others.
        Target('ultralytics', '.onnx', 255.0, resize='torch', takes_maps=False, min_cosine=0.999),
    )
}
#: The least cosine of a model in half precision, for every target.
MIN_COSINE_FP16 = 0.999


def get_target(name: str) -> Target:
    """Looks up a consumer; raises a ValueError with the known ones."""
    if name not in TARGETS:
        raise ValueError(f'target={name!r} is unknown; use one of {", ".join(TARGETS)}')
    return TARGETS[name]
