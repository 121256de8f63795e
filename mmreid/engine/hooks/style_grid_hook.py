# Copyright (c) mmreid contributors. All rights reserved.
"""Shows the images of a camera-style network during its training."""

from itertools import islice

import numpy as np
from mmengine.dataset import Compose
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner

from mmreid.datasets.transforms import CorruptImageError
from mmreid.models.generators import render, rendering_pipeline
from mmreid.registry import HOOKS, TRANSFORMS
from mmreid.utils.unwrap_model import unwrap_model
from mmreid.visualization import draw_style_grid


@HOOKS.register_module()
class StyleGridHook(Hook):
    """Draws training images in the style of every camera: one row per image, one column per camera.

    The images are the same each time and come from each camera in turn. The grid goes to the visualizer, whose local
    backend writes ``<work dir>/<time>/vis_data/vis_image/style_grid_<iteration>.png``. The hook uses no random numbers.

    Args:
        interval (int): Iterations between two grids; another follows after the training. Defaults to 1000.
        num_images (int): Number of rows. Defaults to 8.

    Raises:
        ValueError: If one of them is not positive.
    """

    priority = 'LOW'

    def __init__(self, interval: int = 1000, num_images: int = 8) -> None:
        if interval < 1 or num_images < 1:
            raise ValueError(f'interval={interval} and num_images={num_images} of StyleGridHook must be at least 1')
        self.interval = interval
        self.num_images = num_images
        self._drawn_at = 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Draws a grid every ``interval`` iterations, on rank 0."""
        if self.every_n_train_iters(runner, self.interval):
            self._draw(runner, runner.iter + 1)

    def after_train(self, runner: Runner) -> None:
        """Draws the last grid, unless this iteration has drawn it already."""
        if self._drawn_at != runner.iter:
            self._draw(runner, runner.iter)

    def _draw(self, runner: Runner, step: int) -> None:
        self._drawn_at = step
        if not is_main_process():
            return
        model = unwrap_model(runner.model)
        dataset = runner.train_dataloader.dataset
        load = Compose([TRANSFORMS.build(transform) for transform in rendering_pipeline(model.size)])
        reals, styled, own = [], [], []
        for index in rows_by_camera(dataset.camids, self.num_images):
            try:
                record = load(dataset.get_data_info(index))
            except CorruptImageError:  # the data set decides whether training may continue
                continue
            reals.append(record['inputs'].permute(1, 2, 0).numpy())
            styled.append(render(model, [record['inputs']] * len(model.cameras), range(len(model.cameras))))
            own.append(model.cameras.index(record['data_samples'].camid))
        if not reals:
            return
        grid = draw_style_grid(np.stack(reals), np.stack(styled), own, model.cameras)
        runner.visualizer.add_image('style_grid', grid[..., ::-1], step=step)


def rows_by_camera(camids: np.ndarray, count: int) -> list[int]:
    """Returns up to ``count`` image indices, from each camera in turn, spread over the data set.

    ``camids`` holds the camera of each image, shape (N,).
    """
    cameras = np.unique(camids)
    rounds = -(-count // len(cameras))
    chosen = []
    for number in range(rounds):
        for camera in cameras:
            images = np.flatnonzero(camids == camera)
            if number < len(images):
                chosen.append(int(images[number * len(images) // min(rounds, len(images))]))
    return list(islice(chosen, count))
